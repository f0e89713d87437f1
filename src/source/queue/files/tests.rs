use super::*;
use crate::error::{classify, hint};

fn pushed(name: &str, content: &[u8], numeric: &[&str]) -> anyhow::Result<Vec<(String, String)>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    let numeric = numeric.iter().map(|name| (*name).to_owned()).collect();
    let mut records = Vec::new();
    for_each_record(&path, "id", &numeric, &mut |record| {
        records.push((record.record_id, record.payload));
        Ok(())
    })?;
    Ok(records)
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(id, payload): &(&str, &str)| ((*id).to_owned(), (*payload).to_owned());
    expected.iter().map(owned).collect()
}

/// Class, the message from the file's name on, and the hint.
fn refused(name: &str, content: &[u8]) -> (Class, String, String) {
    let error = pushed(name, content, &[]).unwrap_err();
    let message = format!("{error:#}");
    let start = message.find(name).unwrap_or_default();
    let hint = hint(&error).unwrap_or_default().to_owned();
    (classify(&error), message[start..].to_owned(), hint)
}

#[test]
fn json_lines_stay_as_they_are_written() {
    let text = "\u{feff}{\"id\": 7, \"x\": 1.50, \"y\": [1, {\"id\": 2}]}\r\n\
                \n\
                {\"a\\\"b\":\"\\u00e9\",\"id\":\"a\\u00e9\"}\n\
                {\"id\":-0}\n\
                {\"x\":null,\"id\":\"last\"}";
    let expected = pairs(&[
        ("7", "{\"x\":1.50,\"y\":[1, {\"id\": 2}]}"),
        ("aé", "{\"a\\\"b\":\"\\u00e9\"}"),
        ("0", "{}"),
        ("last", "{\"x\":null}"),
    ]);
    for name in ["a.jsonl", "a.ndjson", "a.JSONL"] {
        assert_eq!(pushed(name, text.as_bytes(), &[]).unwrap(), expected);
    }
    assert_eq!(pushed("a.jsonl", b"", &[]).unwrap(), []);
}

#[test]
fn a_line_that_is_no_record_is_named() {
    for (line, problem) in [
        ("{\"x\": 1}", ", column `id`: the record has no id"),
        ("{\"id\": null}", ", column `id`: the record has no id"),
        (
            "{\"id\": 1.0}",
            ", column `id`: an id is text or an integer, found a float",
        ),
        (
            "{\"id\": true}",
            ", column `id`: an id is text or an integer, found a boolean",
        ),
        (
            "{\"id\": \"a\\u0000\"}",
            ", column `id`: the id contains a NUL character",
        ),
        (
            "{\"id\": \"\\ud800\"}",
            ", column `id`: the id holds half of a surrogate pair",
        ),
        ("[1]", ": an array in place of an object"),
        ("{\"id\": 1", ": not JSON (line 1, column 8)"),
        ("{\"id\": 1} {\"id\": 2}", ": not JSON (line 1, column 11)"),
    ] {
        let (class, message, _) =
            refused("a.jsonl", format!("{{\"id\":1}}\n\n{line}\n").as_bytes());
        assert_eq!(class, Class::Data, "{message}");
        assert_eq!(message, format!("a.jsonl, line 3{problem}"));
    }
    let (_, message, _) = refused("a.jsonl", b"{\"id\": \"\xff\"}\n");
    assert_eq!(message, "a.jsonl, line 1: not UTF-8");
}

#[test]
fn cells_are_numbers_only_where_they_shall_be() {
    let text = "\u{feff}code,id,x,note\n\
                007,a,1.50,\"one, \"\"two\"\"\nthree\"\n\
                ,007,,\n\
                12,b,n/a,12\r\n";
    let expected = pairs(&[
        (
            "a",
            "{\"code\":\"007\",\"x\":1.50,\"note\":\"one, \\\"two\\\"\\nthree\"}",
        ),
        ("007", "{\"code\":null,\"x\":null,\"note\":null}"),
        ("b", "{\"code\":12,\"x\":\"n/a\",\"note\":\"12\"}"),
    ]);
    assert_eq!(
        pushed("a.csv", text.as_bytes(), &["x", "code"]).unwrap(),
        expected
    );
    assert_eq!(
        pushed("a.csv", b"id\n1\n", &["id"]).unwrap(),
        pairs(&[("1", "{}")])
    );
    assert_eq!(pushed("a.csv", b"id,x\n", &[]).unwrap(), []);
}

#[test]
fn a_table_that_is_no_csv_is_refused_with_its_line() {
    for (text, problem) in [
        (
            "id,x\na,1\nb\n",
            "a.csv, line 3: 1 cells, but the first line names 2 columns",
        ),
        (
            "id,x\n\"a\nb\",1\n,2\n",
            "a.csv, line 4, column `id`: the record has no id",
        ),
        (
            "id,x\na\0,1\n",
            "a.csv, line 2, column `id`: the id contains a NUL character",
        ),
        (
            "id,x,x\na,1,2\n",
            "a.csv, line 1: there is more than one column `x`",
        ),
        ("id,\na,1\n", "a.csv, line 1: column 2 has no name"),
        (
            "ID,x\na,1\n",
            "a.csv, line 1: there is no column `id` for the ids; the columns are ID, x",
        ),
        (
            "id,x\na,1\nb,\"2\nc,3\nd,4\n",
            "a.csv, line 3: a double quote is never closed",
        ),
    ] {
        let (class, message, hint) = refused("a.csv", text.as_bytes());
        assert_eq!(class, Class::Data, "{message}");
        assert_eq!(message, problem);
        assert!(!hint.is_empty(), "{message}");
    }
    let (_, message, _) = refused("a.csv", b"id,x\na,\xff\n");
    assert_eq!(message, "a.csv, line 2, column 2: not UTF-8");
    let (_, _, hint) = refused("a.csv", b"ID;x\na;1\n");
    assert!(hint.contains("separated by commas"), "{hint}");
}

#[test]
fn the_name_says_which_format_a_file_has() {
    for name in ["a.json", "a.csv.gz", "a", "-", ".csv", "a.txt"] {
        let (class, _, hint) = refused(name, b"");
        assert_eq!(class, Class::Usage, "{name}");
        assert!(hint.contains(".parquet, .csv, .jsonl or .ndjson"), "{hint}");
    }
    for name in ["a.csv", "a.jsonl", "a.parquet"] {
        let nowhere = Path::new("/nowhere").join(name);
        let error = for_each_record(&nowhere, "id", &BTreeSet::new(), &mut |_| Ok(()));
        assert_eq!(classify(&error.unwrap_err()), Class::NoInput, "{name}");
    }
}

#[test]
fn the_visitor_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("a.csv", "id\n1\n2\n"),
        ("a.jsonl", "{\"id\":1}\n{\"id\":2}\n"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mut seen = 0;
        let error = for_each_record(&path, "id", &BTreeSet::new(), &mut |_| {
            seen += 1;
            Err(Failure::io("the disk is full").into())
        });
        assert_eq!((classify(&error.unwrap_err()), seen), (Class::Io, 1));
    }
}
