"""What messages say in the same words everywhere: counts of things, and names that were meant."""

__all__ = ["counted", "did_you_mean", "joined"]

#: Names that a suggestion has at most, and how alike they must be, as of :mod:`difflib`.
MOST, ALIKE = 3, 0.6
#: Letters of which a part of a name has to be, to be taken for the name.
PART = 3


def counted(count, noun, plural=None):
    """``count`` of what ``noun`` names: "1 layer", "2 layers", "1,024 layers"."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def joined(words, last="and"):
    """``words`` as a list in a sentence: "a", "a and b", "a, b and c"."""
    *most, end = words
    return f"{', '.join(most)} {last} {end}" if most else end


def did_you_mean(name, choices):
    """The names among ``choices`` that ``name`` may have been meant for, as the end of a message:
    "; did you mean ulx3s-25f?". Empty if there is none."""
    if not isinstance(name, str):
        return ""
    import difflib  # only where something is wrong

    word, names = name.lower(), {str(choice).lower(): str(choice) for choice in choices}
    meant = [word] if word in names else [
        each for each in names if len(word) >= PART and word in each]
    meant = meant or difflib.get_close_matches(word, names, MOST, ALIKE) or [
        each for each in names if len(each) >= PART and each in word]
    if not meant:
        return ""
    return f"; did you mean {joined([names[each] for each in meant[:MOST]], 'or')}?"
