"""The papers' own data sets as they are downloaded: one spec each, with its preset, for machines with GPUs."""
