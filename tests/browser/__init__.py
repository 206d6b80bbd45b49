"""HTML reports in Debian's Chromium; `make browser` installs what they need and runs them."""
