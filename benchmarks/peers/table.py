"""Results in a JSON file, sorted, and as a Markdown table beside it."""
import json
import os


def store(path, found, key, columns):
    """Puts a row in the place of that with the same values of `key`; `columns` has a heading and a text for each row."""
    rows = []
    if os.path.exists(path):
        with open(path) as file:
            rows = json.load(file)

    def place(row):
        return tuple(row[name] for name in key)
    rows = sorted([row for row in rows if place(row) != place(found)] + [found], key=place)
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w") as file:
        json.dump(rows, file, indent=1)
        file.write("\n")
    with open(os.path.splitext(path)[0] + ".md", "w") as out:
        out.write("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns) + "\n")
        for row in rows:
            out.write("| " + " | ".join(text(row) for text in columns.values()) + " |\n")
