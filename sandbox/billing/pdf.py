"""A small writer of PDF files: text and hairlines on A4 pages. Pure.

Text that Windows-1252 can write (with ¥, € and accents) stands in Helvetica; anything else in Heisei Kaku Gothic, the
Japanese font that every reader substitutes by one of its own. Neither is embedded. Source: ISO 32000-1, 9.6.2.2
(standard fonts), 9.7.5.2 (predefined CMaps: UniJIS-UTF16-H).
"""

import itertools
from dataclasses import dataclass, field

WIDTH, HEIGHT = 595, 842
"""A4 in points; the origin is the lower left corner."""
HELVETICA = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, *([556] * 10), 278, 278, 584, 584,
    584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611,
    722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
"""Widths of the letters from space to ~ in thousandths of the size. Source: Adobe's font metrics."""
FONTS = {
    "F1": "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    "F2": "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    "F3": "<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiKakuGo-W5 /Encoding /UniJIS-UTF16-H "
    "/DescendantFonts [ 7 0 R ] >>",
}
FONT_PARTS = (
    "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HeiseiKakuGo-W5 /CIDSystemInfo << /Registry (Adobe) /Ordering "
    "(Japan1) /Supplement 2 >> /DW 1000 /W [ 231 389 500 ] /FontDescriptor 8 0 R >>",
    "<< /Type /FontDescriptor /FontName /HeiseiKakuGo-W5 /Flags 4 /FontBBox [ -92 -250 1010 922 ] /ItalicAngle 0 "
    "/Ascent 752 /Descent -221 /CapHeight 737 /StemV 114 >>",
)
"""Objects 7 and 8: catalog, pages and title are 1 to 3, the fonts 4 to 6."""


@dataclass
class Page:
    """What is drawn, in PDF's operators."""

    drawn: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, *, size: float = 10, bold: bool = False) -> None:
        """Words from (x, y) on to the right."""
        for run in _runs(words):
            font, written = _written(run, bold=bold)
            self.drawn.append(f"BT /{font} {size} Tf {x:.2f} {y:.2f} Td {written} Tj ET")
            x += width(run, size, bold=bold)

    def text_right(self, x: float, y: float, words: str, *, size: float = 10, bold: bool = False) -> None:
        """Words that end at x."""
        self.text(x - width(words, size, bold=bold), y, words, size=size, bold=bold)

    def line(self, x: float, y: float, to: float) -> None:
        self.drawn.append(f"0.8 G 0.5 w {x} {y} m {to} {y} l S")


def width(words: str, size: float, *, bold: bool = False) -> float:
    """In points; exact for figures, plain letters and Japanese, near enough for accents and bold."""
    return sum(_letter_width(letter, bold=bold) for letter in _plain(words)) * size / 1000


def _letter_width(letter: str, *, bold: bool) -> float:
    if not _western(letter):
        return 1000
    place = ord(letter) - 32
    known = HELVETICA[place] if 0 <= place < len(HELVETICA) else 556
    return known * 1.07 if bold and letter.isalpha() else known


def _plain(words: str) -> str:
    """The wide yen sign of Japanese locales becomes the one that stands well beside figures."""
    return words.replace("\uffe5", "\u00a5")


def _runs(words: str) -> list[str]:
    """Parts that one font can write."""
    return ["".join(part) for _, part in itertools.groupby(_plain(words), key=_western)]


def _western(words: str) -> bool:
    try:
        words.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _written(words: str, *, bold: bool) -> tuple[str, str]:
    """The font's name and the string in hexadecimal, so that nothing has to be escaped."""
    if _western(words):
        return "F2" if bold else "F1", f"<{words.encode('cp1252').hex()}>"
    return "F3", f"<{words.encode('utf-16-be').hex()}>"


def document(pages: list[Page], *, title: str) -> bytes:
    """The file."""
    fonts = " ".join(f"/{name} {number} 0 R" for number, name in enumerate(FONTS, start=4))
    first = 4 + len(FONTS) + len(FONT_PARTS)
    kids = " ".join(f"{first + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [ {kids} ] /Count {len(pages)} >>",
        f"<< /Title <feff{title.encode('utf-16-be').hex()}> >>",
        *FONTS.values(),
        *FONT_PARTS,
    ]
    for number, page in enumerate(pages):
        content = "\n".join(page.drawn)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [ 0 0 {WIDTH} {HEIGHT} ] /Resources << /Font << {fonts} >> >> "
            f"/Contents {first + 2 * number + 1} 0 R >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    return _file(objects)


def _file(objects: list[str]) -> bytes:
    """Header, numbered objects, the table of where they stand, trailer."""
    out, places = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("ascii")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 3 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode("ascii")
