# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every command that a document shows is run, or is listed here with the file that runs it.

A shell runs the blocks of a page one after the other in a clone. Its PATH has nothing but what is here: programs of Ansible play on
emulated hosts (tests/emulated), and servers are those of tests/servers. bin/test reads its arguments, and runs nothing.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import typing as t
from pathlib import Path

import documented
import emulated
import pytest
import yaml
from checkout import check_out
from emulated import Hosts, fork_server
from servers.xinference import PASSWORD, XinferenceServer

from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import program
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import SPECS

ROOT = documented.ROOT
BIN = Path(sys.executable).parent
#: Commands that need a network, a service manager or Docker: the file whose run has them for real, and the words by which it does.
LISTED = {
    "pip install requests": ("bin/test", "grep -q requests"),
    "pip install -r requirements/molecule.txt && molecule test": ("bin/test", "molecule test -s"),
    "pip install -r requirements/molecule.txt": ("bin/test", "requirements/molecule.txt"),
    "pip install -r requirements/docs.txt": ("bin/test", "requirements/docs.txt"),
    "ANSIBLE_COLLECTIONS_PATH=.venv/collections docs/docsite/build .cache/docsite": ("bin/test", "docs/docsite/build"),
    "molecule converge -s cluster": ("bin/test", "molecule test -s"),
    "molecule verify -s cluster": ("bin/test", "molecule test -s"),
    "molecule destroy -s cluster": ("bin/test", "molecule test -s"),
    # Opens a shell; a test sees only that there is such a host.
    "molecule login -s cluster --host modelops-cluster-s": ("molecule/cluster/molecule.yml", "modelops-cluster-s"),
    "journalctl --unit xinference-reconcile": ("molecule/default/tests/test_systemd.py", "journalctl"),
    # Names of programs, which a sentence compares with.
    "ansible -m ping": ("benchmarks/fleet.py", "ping"),
}
#: Programs of this machine that a block may use.
HERE = ("bash", "cat", "cksum", "cp", "dirname", "env", "ln", "mkdir", "sha256sum")
KEY = "sk-documented0000"
#: The release that hosts ran before the one of the inventory.
BEFORE = "4.0.1-0123456789ab"
#: The inventory of pages that do not make one.
MINE = {
    "xinference_supervisors": {"hosts": {"gpu01": {"ansible_host": "10.1.2.3"}}},
    "xinference_workers": {"hosts": {f"gpu0{n}": {"ansible_host": f"10.1.2.{n + 2}"} for n in (2, 3, 4)}},
}
GROUPS = {*MINE, "xinference_local", "all"}
#: A program of Ansible in a page's shell: it has the test run it.
ASK = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    line.sendall(json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode())
    line.shutdown(socket.SHUT_WR)
    code, out = json.loads(line.makefile().read())
print(out, end="")
sys.exit(code)
"""


class Step(t.NamedTuple):
    """Commands, with what their page has shown of an inventory until there: hosts.yml, where the page makes one, and variables."""

    hosts: str
    variables: str
    commands: tuple[str, ...]


#: One of these that the same inventory has had need not run again.
PLAYS = re.compile(r"bin/site|ansible-playbook")


def steps(path):
    """Blocks, and of those that only play each command."""
    found, hosts, variables = [], "", ""
    for block in documented.blocks(path):
        names = set(re.findall(r"^(\w+):", block.text, re.MULTILINE))
        if block.language == "yaml" and names and names <= GROUPS:
            hosts = block.text
        elif block.language == "yaml" and names <= {*SPECS.options}:
            variables += block.text
        elif block.language == "console":
            commands = tuple(command.text for command in block.commands())
            parts = zip(commands, strict=False) if all(map(PLAYS.match, commands)) else [commands]
            found.append([Step(hosts, variables, part) for part in parts])
    return found


def unseen(things, seen):
    """Those that are not in ``seen``, each once; they are in it afterwards."""
    return [thing for thing in things if thing not in seen and not seen.add(thing)]


# README.zh.md has the commands of README.md (tests/unit/core/test_documents.py).
PAGES = {str(path.relative_to(ROOT)): path for path in documented.pages() if path.name != "README.zh.md"}
OWN = {
    name
    for name, path in PAGES.items()
    if re.search(r"cp -r \S+ inventories/mine$|^ *# inventories/mine/hosts.yml$", path.read_text(), re.M)
}
SEEN: set[object] = set()
BLOCKS = {
    name: [*filter(None, (unseen(block, seen) for block in steps(path)))]
    for name, path in PAGES.items()
    for seen in [set() if name in OWN else SEEN]
}
SHOWN = {command for path in PAGES.values() for block in steps(path) for step in block for command in step.commands}
IN_SENTENCES = unseen((command.text for path in PAGES.values() for command in documented.inline(path)), {*SHOWN})
IN_HEADS = unseen((command.text for path in documented.playbooks() for command in documented.head(path)), {*SHOWN})


class EmulatedHosts(Hosts):
    """Hosts of an inventory that may need the password of its vault; those that are called so have a GPU."""

    def __init__(self, folder, inventory, vault=()):
        self.vault, self.installed = vault, False
        folder.mkdir(parents=True)
        gpus = set(re.findall(r"\w+-?gpu\d+|gpu\d+", (inventory / "hosts.yml").read_text()))
        super().__init__(folder, inventory, gpus)

    def command(self, program, *words):
        return [*super().command(program, *words), *self.vault]


class Mine:
    """The site of pages that do not make one: installed once, and brought back for each block."""

    def __init__(self, top, server):
        self.top, self.kept, self.server = top, top.with_suffix(".kept"), server
        self.inventory = top / "inventory"
        shutil.copytree(ROOT / "inventories/cluster", self.inventory)
        served = {"xinference_host": "127.0.0.1", "xinference_port": int(server.url.rpartition(":")[2])}
        solo = {"gpu05": {"xinference_cluster": "solo", "xinference_admin_password": PASSWORD, **served}}
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump({**MINE, "xinference_local": {"hosts": solo}}))
        self.hosts = EmulatedHosts(top / "emulated", self.inventory)
        code, out = self.hosts.install()
        assert code == 0, out
        self.hosts.installed = True
        for path in (top / "emulated/hosts").glob("*.json"):
            host = json.loads(path.read_text())
            host["found"]["releases"].append(BEFORE)
            host["found"]["previous"] = BEFORE
            path.write_text(json.dumps(host))
        shutil.copytree(top, self.kept)

    def restore(self, variables):
        shutil.rmtree(self.top)
        shutil.copytree(self.kept, self.top)
        (self.inventory / "host_vars/gpu05").mkdir(parents=True)
        (self.inventory / "host_vars/gpu05/page.yml").write_text(variables)


class Page:
    """A person's shell in a clone, which reads one page from its beginning."""

    def __init__(self, folder: Path, mine: Mine):
        self.folder, self.clone, self.home, self.mine = folder, folder / "clone", folder / "home", mine
        self.hosts = {str(mine.inventory): mine.hosts}
        self.vault: list[object] = []
        check_out(self.clone)
        # It reads its arguments as far as --help.
        (self.clone / "bin/test").rename(self.clone / "bin/_test")
        self.write("clone/bin/test", '#!/bin/sh\nexec bin/_test "$@" --help\n')
        self.address = f"{tempfile.mkdtemp()}/ask"  # a socket's path is short
        for name in ("ansible", "ansible-doc", "ansible-galaxy", "ansible-playbook", "ansible-vault"):
            for place in ("path", "clone/.venv/bin"):
                self.write(f"{place}/{name}", ASK.format(python=sys.executable, address=self.address))
        self.write("path/sudo", '#!/bin/sh\nexec "$@"\n')
        # A request with a key is to be answered.
        fails = 'case "$*" in *Authorization*) set -- --fail-with-body "$@";; esac'
        self.write("path/curl", f'#!/bin/sh\n{fails}\nexec {shutil.which("curl")} "$@"\n')
        for name in HERE:
            (folder / "path" / name).symlink_to(shutil.which(name))
        for venv in (".venv", ".venvs/test"):
            self.write(f"clone/{venv}/bin/python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        made = 'echo "$(stamp "$VENV" requirements/controller.txt) $("$VENV/bin/python" -VV)" >"$VENV/.stamp"'
        self.shell(f'. bin/_lib.sh; link_collection "$VENV/collections"; {made}')
        self.write("home/.local/share/modelops-inference/secrets/client_key", f"{KEY}\n")
        (self.home / ".vault-password").write_text("correct horse\n")
        self.write("home/.xinference-admin", f"{PASSWORD}\n")
        self.write("clone/old.yml", "rotate_old_admin_password: correct horse battery\n")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def shell(self, script):
        env = {"PATH": str(self.folder / "path"), "HOME": str(self.home), "LANG": "C.UTF-8"}
        words = [shutil.which("bash"), "-eE", "-c", f"trap 'echo \"fails: $BASH_COMMAND\"' ERR\n{script}"]
        done = subprocess.run(
            words, cwd=self.clone, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def run(self, commands):
        """The output of the commands of a block, but those that are listed."""
        script = self.here("\n".join(command for command in commands if command not in LISTED))
        return self.shell(re.sub(r"http://[\d.]+:9997", self.mine.server.url, script))

    def here(self, text):
        """A text of the page with directories of the test, and a word for each placeholder."""
        for there, here in {
            "/srv/bundle": f"{self.folder}/srv/bundle",
            "/opt/xinference": f"{self.folder}/opt/xinference",
            "NAME": "reload",
            "sha256:…": f"sha256:{'0' * 64}",
        }.items():
            text = text.replace(there, here)
        return text

    def answer(self, words, cwd, env):
        """The result of an Ansible program: (status, output)."""
        name, *words = [Path(words[0]).name, *words[1:]]
        if name == "ansible-galaxy":
            env = {**env, "PATH": f"{BIN}:/usr/bin:/bin", "PYTHONPATH": ""}
            done = subprocess.run([BIN / name, *words], cwd=cwd, env=env, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout + done.stderr
        if name in ("ansible-playbook", "ansible"):
            return self.play(name, words, cwd, env)
        if name == "ansible-vault":
            self.vault = ["--vault-password-file", self.home / ".vault-password"]
        done = fork_server.run([BIN / name, *words, *self.vault], env=emulated.environment(), cwd=cwd)
        return done.returncode, done.stdout + done.stderr

    def play(self, name, words, cwd, env):
        inventory = env.get("ANSIBLE_INVENTORY", str(self.clone / "inventories/local"))
        while "-i" in words:
            at = words.index("-i")
            inventory, words = words[at + 1], [*words[:at], *words[at + 2 :]]
        # The page says so before: give every command the password.
        asks = [word for word in words if word.startswith("--ask-vault-pass")]
        words = [str(word).removeprefix(f"{self.clone}/") for word in words if word not in asks]
        words = [f"playbooks/{word}" if word == "site.yml" else word for word in words]
        hosts = self.hosts_of(Path(cwd, inventory), installs=words[0].endswith((".site", "/site.yml")))
        command = hosts.command(name, *words)
        own = {name: value for name, value in env.items() if name.startswith("MODELOPS_")}
        done = fork_server.run(command, env={**hosts.env, **own}, cwd=cwd)
        out, plays = done.stdout + done.stderr, name == "ansible-playbook" and "--list-tasks" not in words
        if plays and not re.search(r" : ok=[1-9]\d* .*failed=0 ", out):
            return done.returncode or 1, f"{out}\n{name} {' '.join(words)}: no host took part"
        return done.returncode, out

    def hosts_of(self, inventory, *, installs):
        """Those of an inventory as it is now, which a run of site.yml installs, and others find installed."""
        if inventory.is_symlink():
            return self.mine.hosts
        key = str(inventory) + (inventory / "hosts.yml").read_text()
        if key not in self.hosts:
            self.hosts[key] = EmulatedHosts(self.folder / f"emulated{len(self.hosts)}", inventory, self.vault)
        hosts = self.hosts[key]
        hosts.vault = self.vault
        if not hosts.installed and not installs:
            code, out = hosts.install()
            assert code == 0, out
        hosts.installed = True
        return hosts

    def use_mine(self, variables=""):
        """The page does not say how its inventory came about, and each block finds it installed, with the variables of the page."""
        self.mine.restore(self.here(variables))
        path = self.clone / "inventories/mine"
        if not path.is_symlink():
            path.symlink_to(self.mine.inventory)

    def use(self, text):
        """Uses an inventory's block on a page as its hosts.yml."""
        path = self.clone / "inventories/mine"
        if not path.exists():
            shutil.copytree(self.clone / "inventories/cluster", path)
        self.write("clone/inventories/mine/hosts.yml", text)

    def reconcile(self):
        """A host's directory with the program of the reconciler, which has had a turn."""
        base = self.folder / "opt/xinference"
        self.write("opt/xinference/current/bin/python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        self.write("opt/xinference/reconciler/password", f"{PASSWORD}\n")
        path = self.write("opt/xinference/tools/modelops-reconcile", "")
        path.write_bytes(program.reconciler(str(base)))
        options = f"--endpoint {self.mine.server.url} --release 4.1.0 --password-file {base}/reconciler/password"
        self.shell(f"{path} run {options}")

    def serve(self):
        """Runs the programs of Ansible until the page is read."""
        with socket.socket(socket.AF_UNIX) as line:
            line.bind(self.address)
            line.listen()
            while True:
                asked, _address = line.accept()
                with asked:
                    words = asked.makefile().read()
                    if not words:
                        return
                    try:
                        told = self.answer(*json.loads(words))
                    except Exception as exc:  # the shell shows it, and fails
                        told = 1, f"{exc!r}\n"
                    asked.sendall(json.dumps(told).encode())

    def end(self):
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(self.address)
        shutil.rmtree(Path(self.address).parent)


@pytest.fixture(scope="session")
def mine(tmp_path_factory):
    with XinferenceServer("4.1.0") as server:
        owner = server.accounts.add_user("client", "x" * 12, ["models:list", "models:read"])
        server.accounts.add_key("client", owner["id"], KEY)
        server.accounts.add_user("reconciler", PASSWORD, ["models:list", "models:write", "models:register"])
        server.serve("gemma3-270m", model_engine="llama.cpp")
        yield Mine(tmp_path_factory.mktemp("mine"), server)


@pytest.fixture
def page(tmp_path, mine):
    page = Page(tmp_path, mine)
    thread = threading.Thread(target=page.serve, daemon=True)
    thread.start()
    yield page
    page.end()
    thread.join(10)


@pytest.mark.parametrize("name", [name for name in BLOCKS if BLOCKS[name]])
def test_the_blocks_of_a_page_run_one_after_the_other(page, name):
    shown = ""
    for block in BLOCKS[name]:
        hosts, variables, _commands = block[0]
        if name not in OWN:
            page.use_mine(variables)
        elif hosts != shown:
            shown = hosts
            page.use(shown)
        if "cd /opt/xinference" in block[0].commands:
            page.reconcile()
        for step in block:
            page.run(step.commands)


def test_commands_in_the_heads_of_playbooks_run(page):
    for command in IN_HEADS:
        page.use_mine()
        page.run([command])


def test_commands_within_sentences_can_run(page):
    """They are short: the sentence says the rest. Playbooks and options are right."""
    page.use_mine()
    for command in IN_SENTENCES:
        page.run([f"{command} --list-tasks" if PLAYS.match(command) else command])


def test_what_is_listed_is_documented_and_run_elsewhere():
    assert not {*LISTED} - {*SHOWN, *IN_SENTENCES, *IN_HEADS}
    assert not {text: file for text, (file, words) in LISTED.items() if words not in (ROOT / file).read_text()}
