"""What stands in README.md and docs/ is true: its code runs, its commands are taken, its links lead somewhere."""
