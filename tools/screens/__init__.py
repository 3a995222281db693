"""Captures the screens of real terminals (tmux) of 40, 80 and 140 columns into docs/screens/: `make screens`.

The API is `reaper sandbox`, steered through its control surface. The home is a directory whose path is as long as the
one it is shown as, so that lines break where they would. docs/screens.md is written from the captured screens, and
docs/img/demo.png, the picture of the README, is the demo's screen in its colours (rich draws it, chromium prints it).
"""
