//! Tables that become lists of cards where the page is narrow. Their roles are
//! spelled out: some browsers forget them once rows are no table rows any more.

use maud::{Markup, html};

use crate::verify::report::Status;

/// A cell of a table.
pub(super) struct Cell {
    content: Markup,
    class: &'static str,
    /// Without markup, where it heads a column.
    text: String,
}

impl Cell {
    pub(super) fn text(text: &str) -> Self {
        Self {
            content: html! { (text) },
            class: "",
            text: text.to_owned(),
        }
    }

    /// A sign, so that colour is never alone, and a word.
    pub(super) fn status(status: Status, word: &str) -> Self {
        Self::from(html! {
            span class=(class(status)) {
                span.sign aria-hidden="true" { (sign(status)) } " " (word)
            }
        })
    }

    pub(super) fn number(self) -> Self {
        Self { class: "n", ..self }
    }

    pub(super) fn muted(self) -> Self {
        let class = "muted";
        Self { class, ..self }
    }

    pub(super) fn code(self) -> Self {
        let content = html! { code { (self.content) } };
        Self { content, ..self }
    }
}

impl From<Markup> for Cell {
    fn from(content: Markup) -> Self {
        Self {
            content,
            class: "",
            text: String::new(),
        }
    }
}

/// A table with the id of the heading that names it. The first cell of each row
/// heads it.
pub(super) fn table(heading: &str, head: &[Cell], rows: &[Vec<Cell>]) -> Markup {
    html! {
        div.table {
            table role="table" aria-labelledby=(heading) {
                thead role="rowgroup" {
                    tr role="row" {
                        @for cell in head {
                            th class=(cell.class) role="columnheader" scope="col" { (cell.content) }
                        }
                    }
                }
                tbody role="rowgroup" {
                    @for row in rows {
                        tr role="row" {
                            @for (nth, cell) in row.iter().enumerate() {
                                @if nth == 0 {
                                    th role="rowheader" scope="row" { (cell.content) }
                                } @else {
                                    td class=(cell.class) role="cell"
                                        data-label=(head.get(nth).map_or("", |head| &head.text)) {
                                        div { (cell.content) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn class(status: Status) -> &'static str {
    match status {
        Status::Pass => "status pass",
        Status::Fail => "status fail",
        Status::Skip => "status skip",
        Status::Unknown => "status unknown",
    }
}

pub(super) fn sign(status: Status) -> &'static str {
    match status {
        Status::Pass => "✓",
        Status::Fail => "✗",
        Status::Skip => "–",
        Status::Unknown => "?",
    }
}
