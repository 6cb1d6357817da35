"""The same registrations linked by splink: precision, recall and F1 at each match weight.

    python3 -m venv VENV && VENV/bin/pip install -r benches/matching/requirements.txt
    cargo bench --bench matching -- write --persons 57000 --csv registrations.csv
    VENV/bin/python benches/matching/splink_compare.py registrations.csv

Settings as splink's documentation advises for persons: names compared at levels with term frequencies, u from random
pairs, m by EM in two blocks. The values are normalised first (NFKC, hiragana as katakana, digits, 丁目 and 番地 as
hyphens), so that splink is not held back by what it cannot know of Japanese.
"""

import re
import sys
import unicodedata

import pandas as pd
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on


def nfkc(text):
    return unicodedata.normalize("NFKC", text).strip()


def kana(text):
    text = "".join(c for c in nfkc(text) if not c.isspace())
    return "".join(chr(ord(c) + 0x60) if "ぁ" <= c <= "ゖ" else c for c in text)


def digits(text):
    return re.sub(r"\D", "", nfkc(text))


KANJI = str.maketrans("髙﨑邊邉齋齊斉澤濱廣櫻嶋國關眞澁瀧鹽德曾瀨黑冨栁𠮷", "高崎辺辺斎斎斎沢浜広桜島国関真渋滝塩徳曽瀬黒富柳吉")
NUMBERS = str.maketrans("一二三四五六七八九", "123456789")


def address(text):
    text = nfkc(text).replace("架空県", "")
    text = re.sub(r"[一二三四五六七八九](?=丁目)", lambda m: m.group().translate(NUMBERS), text)
    text = re.sub(r"(丁目|番地の?|番|号|[−‐ー－])", "-", text)
    found = re.match(r"(\D*)((?:\d+-?)*)", text)
    return found.group(1), found.group(2).strip("-") if found else ""


def prepare(path):
    raw = pd.read_csv(path, dtype=str, keep_default_na=False)
    table = pd.DataFrame({"unique_id": raw.index, "person": raw["person"]})
    for part in ("family", "given"):
        table[f"{part}_kanji"] = raw[f"{part}_kanji"].map(lambda v: kana(v).translate(KANJI))
        table[f"{part}_kana"] = raw[f"{part}_kana"].map(kana)
    # A whole name in one piece.
    for script in ("kanji", "kana"):
        whole = raw[f"family_{script}"].map(nfkc)
        parts = whole.str.split(r"\s+", n=1, regex=True)
        one = (raw[f"given_{script}"] == "") & (parts.str.len() == 2)
        clean = (lambda v: kana(v).translate(KANJI)) if script == "kanji" else kana
        table.loc[one, f"family_{script}"] = parts[one].str[0].map(clean)
        table.loc[one, f"given_{script}"] = parts[one].str[1].map(clean)
    table["birth_date"] = raw["birth_date"].where(raw["birth_date"].str.len() == 8, "")
    table["sex"] = raw["sex"]
    table["postal_code"] = raw["postal_code"].map(digits)
    towns = raw["address"].map(address)
    table["town"] = towns.str[0]
    table["numbers"] = towns.str[1].str.split("-").str[:3].str.join("-")
    table["address"] = (table["town"] + table["numbers"]).where(table["numbers"] != "", "")
    table["phone"] = raw["phone"].str.split("|").str[0].map(digits)
    table["insurance"] = (
        raw["insurer"] + ":" + raw["symbol"].map(nfkc) + ":" + raw["number"].map(nfkc)
    ).where(raw["number"] != "", "")
    return table.replace("", None)


def settings():
    def name(column):
        levels = cl.LevenshteinAtThresholds(column, [1])
        return levels.configure(term_frequency_adjustments=True)

    return SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            name("family_kana"),
            name("given_kana"),
            name("family_kanji"),
            name("given_kanji"),
            cl.LevenshteinAtThresholds("birth_date", [1, 2]),
            cl.ExactMatch("sex"),
            cl.LevenshteinAtThresholds("address", [1]),
            cl.ExactMatch("phone"),
            cl.ExactMatch("insurance"),
        ],
        blocking_rules_to_generate_predictions=[
            block_on("birth_date", "substr(given_kana, 1, 1)"),
            block_on("birth_date", "substr(family_kana, 1, 1)"),
            block_on("birth_date", "sex", "substr(postal_code, 1, 3)"),
            block_on("family_kana", "given_kana"),
            block_on("family_kanji", "given_kanji"),
            block_on("given_kana", "substr(birth_date, 1, 6)"),
            block_on("given_kana", "substr(birth_date, 5, 4)"),
            block_on("insurance"),
            block_on("phone"),
            block_on("given_kana", "postal_code"),
        ],
        retain_intermediate_calculation_columns=False,
        additional_columns_to_retain=["person"],
    )


def main():
    table = prepare(sys.argv[1])
    sizes = table.groupby("person").size()
    true_pairs = int((sizes * (sizes - 1) // 2).sum())
    database = DuckDBAPI()
    linker = Linker(database.register(table), settings())
    training = linker.training
    training.estimate_probability_two_random_records_match(
        [block_on("family_kana", "given_kana", "birth_date")], recall=0.85
    )
    training.estimate_u_using_random_sampling(max_pairs=5e6, seed=1)
    training.estimate_parameters_using_expectation_maximisation(block_on("birth_date"))
    training.estimate_parameters_using_expectation_maximisation(block_on("given_kana", "substr(family_kana, 1, 1)"))
    predictions = linker.inference.predict(threshold_match_weight=-10).as_pandas_dataframe()
    same = predictions["person_l"] == predictions["person_r"]
    print(f"{len(table)} registrations, {true_pairs} pairs, {len(predictions)} predictions")
    print("| weight from | precision | recall | F1 |\n| --- | --- | --- | --- |")
    best = (0.0, 0)
    for weight in range(-10, 42):
        above = predictions["match_weight"] >= weight
        right, all_of = int((above & same).sum()), int(above.sum())
        precision, recall = right / max(all_of, 1), right / true_pairs
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        best = max(best, (f1, weight))
        if weight % 2 == 0:
            print(f"| {weight} | {precision:.5f} | {recall:.4f} | {f1:.4f} |")
    print(f"best F1 {best[0]:.4f} from {best[1]}")


if __name__ == "__main__":
    main()
