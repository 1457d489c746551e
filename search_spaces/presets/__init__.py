"""Published recipes: one YAML file each, with the fields of a spec that `preset: NAME` lays under a document."""
