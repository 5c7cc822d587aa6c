import pytest

from rag.articles import find_files, other_formats
from rag.errors import ArticleError, DuplicateArticle


def write(path, text="Text."):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def ids(*roots):
    return [file.id for file in find_files(roots)]


def test_ids_are_paths_below_the_root_in_order(tmp_path):
    for name in ("b.md", "a/z.txt", "a/y.html", "C.HTM"):
        write(tmp_path / name)
    assert ids(tmp_path) == ["C.HTM", "a/y.html", "a/z.txt", "b.md"]


def test_the_path_shown_is_the_root_as_given_with_the_id(tmp_path, monkeypatch):
    write(tmp_path / "seeds" / "a" / "x.md")
    monkeypatch.chdir(tmp_path)
    (file,) = find_files([type(tmp_path)("seeds")])
    assert (file.path, file.file) == ("seeds/a/x.md", tmp_path / "seeds" / "a" / "x.md")


def test_a_root_may_be_a_single_file(tmp_path):
    assert ids(write(tmp_path / "a" / "x.md")) == ["x.md"]


def test_hidden_files_other_formats_and_folders_with_a_suffix_are_skipped(tmp_path):
    for name in (".hidden.md", ".git/x.md", "x.png", "Makefile", "folder.md/y.txt"):
        write(tmp_path / name)
    assert ids(tmp_path) == ["folder.md/y.txt"]


def test_files_in_other_formats_are_counted_by_suffix(tmp_path):
    for name in ("a.eml", "b/c.EML", "d.doc", "Makefile", "x.md", ".hidden.jpg", ".git/y.jpg"):
        write(tmp_path / name)
    assert other_formats([tmp_path, tmp_path / "x.md"]) == {".eml": 2, ".doc": 1, "": 1}


def test_a_link_out_of_the_root_is_refused(tmp_path):
    write(tmp_path / "outside" / "x.md")
    root = tmp_path / "root"
    write(root / "y.md")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "z.md").symlink_to(tmp_path / "outside" / "x.md")
    refused = {file.id: file.refused for file in find_files([root])}
    reason = "it is a link out of the folder"
    assert refused == {"folder": reason, "y.md": None, "z.md": reason}


def test_a_link_to_xml_that_is_not_followed_is_told(tmp_path):
    root = tmp_path / "root"
    write(root / "y.md")
    write(tmp_path / "outside" / "feed.xml", '<rss version="2.0"/>')
    (root / "out.xml").symlink_to(tmp_path / "outside" / "feed.xml")
    (root / "nowhere.xml").symlink_to(tmp_path / "gone.xml")
    (root / "picture.png").symlink_to(tmp_path / "gone.png")
    refused = {file.id: file.refused for file in find_files([root])}
    nowhere, out = "it is a link that leads nowhere", "it is a link out of the folder"
    assert refused == {"nowhere.xml": nowhere, "out.xml": out, "y.md": None}


def test_a_file_that_a_link_leads_to_again_is_one_article(tmp_path):
    write(tmp_path / "sub" / "x.md")
    (tmp_path / "a.md").symlink_to(tmp_path / "sub" / "x.md")
    (tmp_path / "again").symlink_to(tmp_path / "sub")
    assert ids(tmp_path) == ["sub/x.md"]


def test_a_link_to_what_is_found_nowhere_else_is_followed(tmp_path):
    write(tmp_path / ".data" / "x.md")
    (tmp_path / "x.md").symlink_to(tmp_path / ".data" / "x.md")
    assert ids(tmp_path) == ["x.md"]


def test_links_in_a_ring_end(tmp_path):
    write(tmp_path / "sub" / "x.md")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    assert ids(tmp_path) == ["sub/x.md"]


def test_one_root_given_twice_is_no_duplicate(tmp_path):
    write(tmp_path / "x.md")
    assert ids(tmp_path, tmp_path) == ["x.md"]


def test_two_files_with_one_id_are_both_named(tmp_path):
    write(tmp_path / "one" / "x.md")
    write(tmp_path / "two" / "x.md")
    with pytest.raises(DuplicateArticle) as caught:
        ids(tmp_path / "one", tmp_path / "two")
    assert "one/x.md" in caught.value.message
    assert "two/x.md" in caught.value.message


def test_a_missing_root_is_named_with_a_hint(tmp_path):
    with pytest.raises(ArticleError, match="nowhere") as caught:
        ids(tmp_path / "nowhere")
    assert caught.value.hint


def test_a_root_in_another_format_is_refused(tmp_path):
    with pytest.raises(ArticleError, match="not in a format"):
        ids(write(tmp_path / "x.png"))
