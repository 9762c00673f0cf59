"""Whether every label of the instrument occurs in the data: one that never does caps the studies' figure."""

from rustk.report.audits.base import Context, Finding, first_few

ORDER = 25


def audit(context: Context) -> list[Finding]:
    """One finding where labels have nothing to rank in all of the images; nothing otherwise, or without a cohort."""
    cohort = context.cohort
    if cohort is None:
        return []
    occurs = cohort.truth.sum(axis=0)
    absent = [
        f"{label.replace('_', ' ')} {'is on every image' if images else 'never occurs'}"
        for label, images in zip(cohort.instrument.labels, occurs.tolist(), strict=True)
        if images in (0, len(cohort))
    ]
    if not absent:
        return []
    labels = len(cohort.instrument.labels)
    left = labels - len(absent)
    has, each = ("has", "it") if len(absent) == 1 else ("have", "each")
    sentence = (
        f"{len(absent)} of {labels} labels {has} nothing to rank in the develop images. The studies' figure counts "
        f"{each} as 0, so it is at most {left}/{labels} = {left / labels:.3f}; the exact figures leave them out."
    )
    return [Finding("absent-labels", "warning", sentence, first_few(absent))]
