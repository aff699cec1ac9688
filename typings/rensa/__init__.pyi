from collections.abc import Iterable

class RMinHash:
    @staticmethod
    def digests_from_token_sets(token_sets: Iterable[Iterable[str]], num_perm: int, seed: int) -> list[list[int]]: ...
