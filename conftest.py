"""Scenarios become pytest items through the plugin ``patchkit.gates.pytest_plugin``, an entry point of the package.

This file only switches on pytest's own tester, for the tests of that plugin.
"""

pytest_plugins = ["pytester"]
