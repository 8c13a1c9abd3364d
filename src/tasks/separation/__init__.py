"""Task separation: permutation invariant SI-SNR."""
