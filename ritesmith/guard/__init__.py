"""Drafts to findings: what is wrong, where, and what to do. Nothing here executes a script in this process."""

from ritesmith.guard.lua import Compile, LuaRules, check_lua, check_source, load_rules

__all__ = ["Compile", "LuaRules", "check_lua", "check_source", "load_rules"]
