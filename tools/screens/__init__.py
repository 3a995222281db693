"""Captures the screens of real terminals (tmux) of 40, 80 and 140 columns into docs/screens/: `make screens`.

The API is `reaper sandbox`, steered through its control surface. The home is a directory whose path is as long as the
one it is shown as, so that lines break where they would. docs/screens.md is written from the captured screens, and
docs/img/demo.png is the demo's last screen in its colours (rich draws it, chromium prints it). docs/img/demo.svg, the
moving picture of the README, is made by movie.py.
"""
