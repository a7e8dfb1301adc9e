"""What scripts/package is made of: `tree` stages what is installed, `deb`, `rpm` and `image` pack it, and `bill` says
what is in it."""
