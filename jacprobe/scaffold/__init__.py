"""Writing a study from run folders and cells: what is found in them, which roles they take, the files of the study."""
