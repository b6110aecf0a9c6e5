//! The page for a person, put together of its parts when the module is built.

const PARTS: &str = concat!(
    include_str!("page/head.html"),
    include_str!("page/LICENSE.uPlot"),
    include_str!("page/style-begin.html"),
    include_str!("page/style.css"),
    include_str!("page/body.html"),
    include_str!("page/uPlot.iife.min.js"),
    include_str!("page/figures.js"),
    include_str!("page/words.js"),
    include_str!("page/troubles.js"),
    include_str!("page/charts.js"),
    include_str!("page/stores.js"),
    include_str!("page/page.js"),
    include_str!("page/end.html"),
);

/// It reads the JSON, again and again, and loads nothing else. Comments and indentation of the
/// script are for readers of its source.
pub(super) fn page() -> String {
    let lines = PARTS.lines().map(str::trim_start);
    lines.filter(|line| !line.starts_with("//")).flat_map(|line| [line, "\n"]).collect()
}
