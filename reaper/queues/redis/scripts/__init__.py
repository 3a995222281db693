"""The Lua scripts that move items atomically."""
