# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole trees that another user wrote, and may still write: taken over, handed over, removed. Private to the collection.

Files are opened before they are looked at. A tree that is taken over becomes root's from its top on, and from then on nobody
else can swap what is in it.
"""

from __future__ import annotations

import contextlib
import os
import stat

from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory, Refused, relative
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError


def remove(path: str) -> None:
    """Removes the entry at a path: a link itself, a directory with its content."""
    try:
        with Directory.at(os.path.dirname(path)) as holder:
            holder.remove(os.path.basename(path))
    except FileNotFoundError:
        pass


def take(path: str, giver: int, what: str) -> None:
    """Makes a tree this process's own, readable for all. It has files, directories and links inside of the giver, and nothing else.

    :param giver: user who wrote it.
    :param what: its name in messages.
    :raises ModelopsError: it has something else, such as a link to a file of root's, which would be served to other hosts.
    """
    links: list[str] = []
    try:
        with Directory.at(path) as top:
            _take(top, "", giver, links)
    except Refused as exc:
        raise _refusal(what, os.path.relpath(str(exc.filename), path), str(exc.strerror)) from exc
    for link in links:
        if not stays_inside(path, link):
            raise _refusal(what, link, "it links to a place outside")


def _take(directory: Directory, inside: str, giver: int, links: list[str]) -> None:
    ours = (os.geteuid(), os.getegid())
    directory.own(0o755, ours)
    for name in directory.names():
        about = directory.stat(name)
        if about is None:
            continue
        path = os.path.join(directory.path, name)
        if about.st_uid != giver:
            raise Refused(f"it belongs to the user {about.st_uid}", path)
        if stat.S_ISLNK(about.st_mode):
            links.append(os.path.join(inside, name))
        elif stat.S_ISDIR(about.st_mode):
            with directory.enter(name) as below:
                _take(below, os.path.join(inside, name), giver, links)
        else:
            with directory.open(name, (giver,)) as file:
                if os.fstat(file.fileno()).st_nlink > 1:
                    raise Refused("it is a hard link, a second name of a file", path)
                directory.adopt(file.fileno(), 0o644, ours)


def stays_inside(root: str, link: str) -> bool:
    """Whether a link leads to a place in its tree, also when that is moved.

    :param link: its path inside.
    """
    target = os.readlink(os.path.join(root, link))
    inside = os.path.normpath(os.path.join(os.path.dirname(link), target))
    outside = os.path.isabs(target) or inside.split(os.sep)[0] == os.pardir
    return not outside and relative(os.path.join(root, link), root) is not None


def _refusal(what: str, path: str, why: str) -> ModelopsError:
    return ModelopsError(f"{what}: {path}: {why}; nothing of it was taken")


def hand_over(directory: Directory, owner: tuple[int, int]) -> list[str]:
    """Gives the directories and regular files of a tree to a user and group; modes stay.

    A directory comes after what is in it, so that a run that broke off is seen and goes on.

    :returns: paths that were left as they are: neither the old nor the new owner's, and not for everybody to read. The old
        owner can have linked or moved them here.
    """
    left: list[str] = []
    for name in directory.names():
        about = directory.stat(name)
        with contextlib.suppress(Refused, FileNotFoundError):
            if about is not None and stat.S_ISDIR(about.st_mode):
                with directory.enter(name) as below:
                    left += hand_over(below, owner)
            elif about is not None and stat.S_ISREG(about.st_mode):
                with directory.open(name, (about.st_uid,)) as file:
                    about = os.fstat(file.fileno())
                    public = about.st_nlink == 1 and about.st_mode & stat.S_IROTH
                    if about.st_uid not in (directory.owner[0], owner[0]) and not public:
                        left.append(os.path.join(directory.path, name))
                    elif (about.st_uid, about.st_gid) != owner:
                        os.fchown(file.fileno(), *owner)
    directory.own(owner=owner)
    return left
