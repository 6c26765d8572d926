"""Formulas for a browser: the little TeX of the story, turned into MathML."""

import html
import re

TOKEN = re.compile(r"\\(?:text|operatorname){[^}]*}|\\[a-zA-Z]+|\\.|[0-9.]*[0-9]|\S")
SIGNS = {
    r"\cdot": "\u22c5", r"\le": "\u2264", r"\ge": "\u2265", r"\|": "\u2016", r"\sum": "\u2211",
    r"\leftarrow": "\u2190", r"\partial": "\u2202", r"\#": "#", r"\{": "{", r"\}": "}",
    "-": "\u2212", "*": "\u2217",
}  # fmt: skip
LETTERS = {r"\epsilon": "\u03b5", r"\delta": "\u03b4", r"\eta": "\u03b7"}
SPACES = {r"\,": "0.17em"}
NAMES = {r"\max": "max", r"\min": "min"}
BELOW = (*NAMES, r"\sum")  # in a displayed formula their ranges stand under them

TAGS = {"": "", "_": "msub", "^": "msup", "_^": "msubsup"}


def mathml(tex, display=False):
    """The <math> element of a formula, on a line of its own if `display`.

    It knows the signs, letters and names of the tables above, ^, _, braces, \\frac, \\text and
    \\operatorname; any other command is a KeyError.
    """
    tokens = TOKEN.findall(tex)[::-1]
    kind = ' display="block"' if display else ""
    return f"<math{kind}>{_row(tokens, display)}</math>"


def _row(tokens, display):
    """Everything up to the closing brace or the end; `tokens` are taken from their end."""
    parts = []
    while tokens and tokens[-1] != "}":
        part = _scripted(tokens, display)
        if parts and parts[-1].startswith("<mo>"):  # a sign after a sign belongs to what follows
            part = re.sub("^<mo>([\u2212+])", r'<mo form="prefix">\1', part)
        parts.append(part)
    if tokens:
        tokens.pop()
    return f"<mrow>{''.join(parts)}</mrow>"


def _scripted(tokens, display):
    """One atom with what hangs on it: <msub>, <msup>, <msubsup> or, for sums, <munder>."""
    under = display and tokens[-1] in BELOW
    base, scripts = _atom(tokens, display), {}
    while tokens and tokens[-1] in "_^":
        mark = tokens.pop()
        scripts[mark] = _atom(tokens, False)
    tag = TAGS["".join(sorted(scripts, reverse=True))]
    tag = "munder" if under and tag == "msub" else tag
    ordered = "".join(scripts[each] for each in "_^" if each in scripts)
    return f"<{tag}>{base}{ordered}</{tag}>" if scripts else base


def _atom(tokens, display):
    token = tokens.pop()
    if token == "{":
        return _row(tokens, display)
    if token == r"\frac":
        return f"<mfrac>{_atom(tokens, display)}{_atom(tokens, display)}</mfrac>"
    if token in SPACES:
        return f'<mspace width="{SPACES[token]}"></mspace>'
    if token.startswith((r"\text{", r"\operatorname{")):
        tag, word = "mtext" if token[1] == "t" else "mi", token[:-1].split("{")[1]
        return f"<{tag}>{html.escape(word)}</{tag}>"
    if token in NAMES:
        return f"<mo>{NAMES[token]}</mo>"
    if token in LETTERS or token.isalpha():
        return f"<mi>{LETTERS.get(token, token)}</mi>"
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    sign = SIGNS[token] if token.startswith("\\") else SIGNS.get(token, token)
    fixed = ' stretchy="false"' if token == r"\|" else ""
    return f"<mo{fixed}>{html.escape(sign)}</mo>"
