"""Distributions of returns on fixed atoms (Bellemare, Dabney and Munos, ICML 2017: C51)."""

import torch


def project(
    probability: torch.Tensor, reward: torch.Tensor, discount: torch.Tensor, atoms: torch.Tensor
) -> torch.Tensor:
    """The distribution of ``reward + discount * z`` on the atoms.

    What lies between two atoms is shared between them in proportion to its nearness; what lies beyond
    the first or the last goes to that (equation 7 of the paper).

    Args:
        probability: (n, atoms) of z.
        reward: (n, 1).
        discount: (n, 1).
        atoms: (atoms,) evenly spaced, rising.

    Returns:
        (n, atoms) probabilities, which sum to what those of z do.
    """
    spacing = atoms[1] - atoms[0]
    moved = (reward + discount * atoms).clamp(atoms[0], atoms[-1])
    distance = (moved[:, :, None] - atoms).abs() / spacing
    share = (1.0 - distance).clamp(min=0.0)
    return torch.einsum("na,nab->nb", probability, share)
