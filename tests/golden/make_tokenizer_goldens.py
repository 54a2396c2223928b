#!/usr/bin/env python3
"""Writes tests/golden/tokenizers: what Hugging Face's `tokenizers` makes of the King James Bible, of a
torture file and of every code point, for each pre-tokenizer that varve has.

  python3 tests/golden/make_tokenizer_goldens.py --vocabs DIR --smollm MODEL.gguf --bible FILE

DIR holds llama.cpp's ggml-vocab-*.gguf (tests/support/fetch_vocabs.sh), FILE is what
tests/support/make_bible.sh writes. Needs the packages tokenizers, transformers, gguf and jinja2. The
torture file is generated here as well, so that each of its bytes has a reason.
"""
import argparse
import hashlib
import json
import random
import struct
from pathlib import Path

import gguf
import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

OUT = Path(__file__).parent / "tokenizers"
SEPARATOR = b"\n=== varve torture case ===\n"
BLOCK_IDS = 16384  # 64 KiB of int32
LONGEST_LIST = 300  # ids written out; longer cases are hashed

CASE_FOLDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


# The torture file ---------------------------------------------------------------------------------


def words(rng, alphabet, count, longest):
    return " ".join("".join(rng.choices(alphabet, k=rng.randint(1, longest))) for _ in range(count))


def sampled(ranges, step):
    return "".join(chr(c) for a, b in ranges for c in range(a, b, step) if not 0xD800 <= c < 0xE000)


def text_cases():
    rng = random.Random(20240229)
    spaces = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u180e\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000"
    yield ""
    yield " "
    yield "a"
    # Emoji: joined families, skin tones, flags, keycaps, text style.
    yield "👨‍👩‍👧‍👦 👩🏽‍🚀👍🏿 🇩🇪🇯🇵🇺 1️⃣#️⃣ ☺︎☺️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🫠🫨🪿"
    yield "🦙" * 40 + "🦙🏽‍♂️" * 10
    # Combining marks: decomposed and composed, reordered, stacked, Hangul jamo, Indic, Tibetan.
    yield "é e\u0301 é\u0301 ﬁ ffi Å A\u030a Å \u0301\u0301 a\u0315\u0300\u05ae\u0062 s\u0323\u0307 s\u0307\u0323 q\u0307\u0323"
    yield "\u1100\u1161\u11a8 각 \u1100\u1161 가\u11a8 \u0958 \u0915\u093c \u0f71\u0f72\u0f74 \u0dd9\u0dcf\u0dca ড় ক্ষ ปี้ ที่"
    yield "".join(c + "".join(chr(rng.randint(0x300, 0x36F)) for _ in range(8)) for c in "Zalgo, he comes")
    yield "Tiếng Việt: Cửa Việt, Tie\u0302\u0301ng Vie\u0323\u0302t. नमस्ते दुनिया। ကမ္ဘာ កាន់តែពិសេសអាច"
    # CJK, with compatibility forms that normalization changes.
    yield "我想在apple工作1314151天～。日本語のテキスト、カタカナ・ひらがな。한국어 문장입니다. 𠮷野家 𡚴原 豈更車 ｶﾞ ﾊﾟ ① ㈱ ㍿"
    yield "\u4e2d" * 700
    # Mixed scripts, with and without spaces between.
    yield "HelloПриветΓειάمرحباשלוםสวัสดีनमस्ते你好こんにちは안녕 abcабвαβγ123٤٥٦१२३ ١٢٣abc عربي English עברית"
    yield "нещо на Български, ţara ș ŞİĞÜÖÇ ıI straße ΣΑΣ ﷽ ǆǅǄ ꜱ"
    # Control characters, zero widths, bidi, tags, noncharacters, private use.
    yield "".join(map(chr, range(0, 32))) + "\x7f" + "".join(map(chr, range(0x80, 0xA0)))
    yield "a\0b\0\0c \x01 \x07x\x08y\x1b[31mred\x1b[0m \x7f end\0"
    yield "zero\u200bwidth\u200cjoin\u200der\ufeffbom\u2060w \u202erotcerid\u202c \u061c \u00ad soft \ufffe\uffff\U0001fffe \ue000\U000f0000 \U000e0041"
    # Spaces of all kinds and numbers.
    yield spaces
    yield "x".join(spaces) + "".join(s * n for s in " \t\n\u3000" for n in (1, 2, 3, 7))
    yield "".join("w" + " " * n for n in range(1, 40))
    yield "\n \n\n \n\n\n \t \t\t \t\n  \n   \n\r\n\r\n \r \r\n  x\r\n\ty  \n"
    yield "trailing   "
    yield "\n\n\nlead"
    yield " " * 3000 + "x" + "\n" * 1200 + "\t" * 500 + " "
    # Contractions, also with letters that fold to ASCII.
    yield "I've he'll they'D we'RE 'S 'ſ 'K it’s don't' ''s 'll'd 'mall 'TIS rock'n'roll o'er'er'"
    # Numbers.
    yield " ".join("1234567890123456"[:n] for n in range(1, 17)) + " 1,234.5 -3e+10 0x1F v2.0 3.3 3..3 50% №5"
    yield "١٢٣٤ ०१२३ ๑๒๓ ²³¹ ½¾ ⅣⅧ ㊿ 𝟘𝟙𝟚 一二三 𒐀 a1b22c333d4444 1²a ½a"
    # Letters and digits that Unicode 15, 16 and 17 added.
    yield "\u1c89\u1c8a \ua7cb\U000105c0\U00011f04x\U00011f50\U0001e4d0\U0001e4f0 \U00031350\U0002ebf0 \U00010d40\U00010d4a1\U0001ccf0 \U00011de0\U00016ff4a"
    # Long words.
    yield "a" * 3000
    yield "ab" * 2000
    yield "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=6000))
    yield "".join(rng.choices("etaoinshrdlu", k=4000)) + "." * 999 + "é" * 500 + "e\u0301" * 500
    yield "7" * 1500 + "-" * 1500 + "=" * 777 + "!?" * 400
    # Markup, code and addresses.
    yield "for (int i = 0; i < n; ++i) {\n    a[i] += b[i]*2;  // ¿qué?\n}\n\tif x:\n\t\treturn lambda y: y**2\n"
    yield '<p class="x">&nbsp;caf&eacute;</p> {"k": [1, 2.5e-3, null]} \\frac{a}{b} $x_i^2$ C:\\dir\\f.txt'
    yield "https://example.org/a_b?c=d&e=%20#f user@example.org #tag @name ~/x/../y TWFuIGlzIGRpc3Rpbmd1aXNoZWQ="
    # What looks like a token of the vocabulary.
    yield "<|im_start|>user\n<|im_end|> <|endoftext|><s></s><unk> [INST] [/INST] <0x41><0x0A> <|eot_id|><|begin_of_text|> [PAD151650]"
    yield "▁ ▁▁ a▁b ▁a ▁▁▁▁▁ _▁_ Ġ Ċ Ġhello Ã© ĉ Ł"
    # Random words, punctuation, and samples of all blocks of Unicode.
    yield words(rng, "abcdeABC'.,-  0123", 150, 9)
    yield words(rng, "áßçдяжאבגعغ中文字ひカ한글ไทย🙂🎉e\u0301\u0323", 120, 6)
    yield sampled([(0x21, 0x3000)], 37)
    yield sampled([(0x3000, 0x20000)], 523)
    yield sampled([(0x20000, 0x110000)], 16381)
    yield "".join(chr(c) + "x " for c in range(0x2000, 0x2C00, 3))


def byte_cases():
    yield b"lone \x80 and \xbf, pair \x80\x81\x82 end\xc3"
    yield b"cut \xe2\x82 off \xe2 x \xf0\x9f\x98 y \xf0\x9f z \xf0 \xc3\xa9\xc3"
    yield b"overlong \xc0\xaf \xc1\x81 \xe0\x80\xaf \xe0\x9f\xbf \xf0\x80\x80\xaf \xf0\x8f\xbf\xbf"
    yield b"surrogates \xed\xa0\x80 \xed\xbf\xbf \xed\xa0\xbd\xed\xb8\x80 ok \xed\x9f\xbf \xee\x80\x80"
    yield b"beyond \xf4\x90\x80\x80 \xf5\x80\x80\x80 \xf8\x88\x80\x80\x80 \xfc\x84\x80\x80\x80\x80 \xfe\xff \xf4\x8f\xbf\xbf"
    yield b"caf\xe9 na\xefve \xabquoted\xbb \xa9 1999, \x93smart\x94 \x96 dash"  # Latin-1, CP-1252
    yield "UTF-16 text".encode("utf-16-le") + b"\n" + "日本".encode("utf-16-be")
    yield "日本語".encode("shift-jis") + "Привет".encode("koi8-r")
    yield bytes(range(256))
    rng = random.Random(7)
    yield bytes(rng.randrange(256) for _ in range(700))
    yield bytes(rng.choice(b"\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9 ab") for _ in range(500))
    yield b"\xf0\x9f\x98" * 50 + b"\x80" * 50 + b"\xe2" * 50


def torture_cases():
    cases = [text.encode("utf-8", "surrogatepass") for text in text_cases()] + list(byte_cases())
    assert all(SEPARATOR not in case for case in cases)
    return cases


# Tokenizers ---------------------------------------------------------------------------------------


def split_then_bytes(digits):
    pattern = CASE_FOLDING + digits + REST
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def configure(tokenizer, name):
    """Gives a tokenizer the parts that the models' own tokenizer.json have."""
    if name == "gpt-2":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    elif name == "smollm":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    elif name == "llama-bpe":
        tokenizer.pre_tokenizer = split_then_bytes(r"\p{N}{1,3}")
    elif name == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = split_then_bytes(r"\p{N}")
    tokenizer.decoder = decoders.ByteLevel()


def metadata(path):
    fields = gguf.GGUFReader(path).fields
    return lambda key: fields[key].contents() if key in fields else None


def sentencepiece_model(get):
    from transformers.convert_slow_tokenizer import generate_merges

    tokens, scores = get("tokenizer.ggml.tokens"), get("tokenizer.ggml.scores")
    kinds = get("tokenizer.ggml.token_type")
    vocab = {token: i for i, token in enumerate(tokens)}
    mergeable = [i for i in vocab.values() if kinds[i] == NORMAL]
    merges = generate_merges({tokens[i]: i for i in mergeable}, {tokens[i]: scores[i] for i in mergeable})
    return models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)


def byte_level_model(get, name):
    vocab = {token: i for i, token in enumerate(get("tokenizer.ggml.tokens"))}
    merges = [tuple(merge.split(" ")) for merge in get("tokenizer.ggml.merges")]
    return models.BPE(vocab, merges, ignore_merges=name == "llama-bpe")


def build(path, name):
    get = metadata(path)
    if name == "llama-spm":
        tokenizer = Tokenizer(sentencepiece_model(get))
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
    else:
        tokenizer = Tokenizer(byte_level_model(get, name))
        configure(tokenizer, name)
    tokens, kinds = get("tokenizer.ggml.tokens"), get("tokenizer.ggml.token_type")
    for i, (token, kind) in enumerate(zip(tokens, kinds)):
        if kind in (CONTROL, UNKNOWN):
            tokenizer.add_special_tokens([tokenizers.AddedToken(token, normalized=False, special=True)])
        elif kind == USER_DEFINED:
            tokenizer.add_tokens([tokenizers.AddedToken(token, normalized=False)])
        assert tokenizer.token_to_id(token) == i
    return tokenizer, [t for t, k in zip(tokens, kinds) if k in (CONTROL, UNKNOWN)]


# Goldens ------------------------------------------------------------------------------------------


def digest(ids):
    return hashlib.sha256(struct.pack(f"<{len(ids)}i", *ids)).hexdigest()


def blocks(ids):
    return [digest(ids[i : i + BLOCK_IDS]) for i in range(0, len(ids), BLOCK_IDS)]


def compact(ids):
    if len(ids) <= LONGEST_LIST:
        return " ".join(map(str, ids))
    return {"ids": len(ids), "sha256": digest(ids)}


def code_point_texts():
    """Each code point inside a word, beside spaces and digits, among marks; 4096 a text."""
    for begin in range(0, 0x110000, 4096):
        points = [chr(c) for c in range(begin, begin + 4096) if not 0xD800 <= c < 0xE000]
        yield "".join(f"a{c}a {c}1{c} {c} x{c}\u0334x\u0345{c}" for c in points)


def special_texts(names):
    first, last = names[0], names[-1]
    return [
        first,
        f"{first}{last}",
        f"Hello {first} world{last}\n",
        f" {last}  {last} a{first}b",
        first[:-1] + first + first[1:],
        "user text without any",
    ]


def encode(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def golden(tokenizer, specials, bible, cases):
    tokenizer.encode_special_tokens = True  # text is not parsed for special tokens
    whole_bible = encode(tokenizer, bible.decode())
    torture = [case.decode(errors="replace") for case in cases]
    whole_torture = encode(tokenizer, SEPARATOR.join(cases).decode(errors="replace"))
    result = {
        "tokenizers": tokenizers.__version__,
        "bible": {
            "bytes": len(bible),
            "sha256": hashlib.sha256(bible).hexdigest(),
            "ids": len(whole_bible),
            "blocks": blocks(whole_bible),
        },
        "torture": [compact(encode(tokenizer, text)) for text in torture],
        "torture_whole": {"ids": len(whole_torture), "sha256": digest(whole_torture)},
        "code_points": [digest(encode(tokenizer, text)) for text in code_point_texts()],
    }
    tokenizer.encode_special_tokens = False
    result["special"] = [
        {"text": text, "ids": compact(encode(tokenizer, text))} for text in special_texts(specials)
    ]
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocabs", type=Path, required=True)
    parser.add_argument("--smollm", type=Path, required=True)
    parser.add_argument("--bible", type=Path, required=True)
    parser.add_argument("--save", type=Path, help="also write each tokenizer.json into this folder")
    args = parser.parse_args()
    cases = torture_cases()
    OUT.mkdir(exist_ok=True)
    (OUT / "torture.txt").write_bytes(SEPARATOR.join(cases))
    bible = args.bible.read_bytes()
    sources = {n: args.vocabs / f"ggml-vocab-{n}.gguf" for n in ("gpt-2", "llama-bpe", "llama-spm", "qwen2")}
    for name, path in {**sources, "smollm": args.smollm}.items():
        tokenizer, specials = build(path, name)
        if args.save:
            tokenizer.save(str(args.save / f"{name}.json"))
        text = json.dumps(golden(tokenizer, specials, bible, cases), indent=0)
        (OUT / f"{name}.json").write_text(text + "\n")
        print(f"{name}: {len(text)} bytes")


if __name__ == "__main__":
    main()
