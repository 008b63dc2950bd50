"""The prompts: one text file each, known by its name. README.md names the source of each rule."""
