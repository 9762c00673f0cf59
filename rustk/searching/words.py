"""A round in words."""

from rustk.store.documents import Round
from rustk.vocabulary.wording import counted


def describe_round(decided: Round) -> str:
    """What a round decided, in a sentence."""
    said = []
    if decided.dropped:
        said.append(f"{counted(len(decided.dropped), 'trial')} dropped")
    if decided.trials:
        said.append(f"{counted(len(decided.kept), 'trial')} kept")
    if decided.asked:
        said.append(f"{counted(len(decided.asked), 'trial')} more asked for")
    return f"round {decided.number}: {', '.join(said)}"
