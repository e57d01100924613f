# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of Sphinx for the documentation site; docs/docsite/build runs it."""

import re

from docutils import nodes

project = "modelops.inference"
copyright = "The modelops.inference maintainers"
title = html_title = html_short_title = "modelops.inference"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
root_doc = "index"
# Headings are targets of links, by the names that code hosts give them.
myst_heading_anchors = 4
suppress_warnings = [
    "myst.xref_missing",  # links to files that are no pages; a unit test follows every link
    "misc.highlighting_failure",  # output of programs and abridged YAML
]
highlight_language = "none"
pygments_style = "ansible"
html_theme = "sphinx_ansible_theme"
html_theme_options = {"display_version": False, "vcs_pageview_mode": ""}
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_sphinx = False
html_copy_source = False
html_use_index = False
html_use_modindex = False

# Labels of Ansible's own documentation, by their pages. Its index of labels would have to be fetched for each build.
ANSIBLE = "https://docs.ansible.com/ansible/latest"
LABELS = {
    r"action_plugins": "plugins/action.html",
    r"callback_plugins": "plugins/callback.html",
    r"ansible_configuration_settings": "reference_appendices/config.html",
    r"common_return_values": "reference_appendices/common_return_values.html",
    r"ansible_collections\.ansible\.builtin\.(\w+)_module": r"collections/ansible/builtin/\1_module.html",
}


def of_ansible(app, env, node, content):
    """A link to Ansible's documentation in place of a label that is not in this one."""
    for label, page in LABELS.items():
        found = re.fullmatch(label, node["reftarget"])
        if found:
            return nodes.reference("", "", content, refuri=f"{ANSIBLE}/{found.expand(page)}")
    return None


def setup(app):
    app.connect("missing-reference", of_ansible)
