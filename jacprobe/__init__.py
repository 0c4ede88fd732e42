"""jacprobe re-verifies findings about perturbation models, each as a claim with a statistical verdict."""
