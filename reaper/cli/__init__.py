"""The commands: one small file per verb or family; parsing and printing only."""
