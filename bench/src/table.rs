//! Markdown tables that are also readable as plain text.

/// Returns a table with padded columns. The first column is aligned left, the others right.
pub(crate) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let width_of = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([header[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width_of).collect();

    let mut table = line(header.iter().copied(), &widths);
    let rulers = widths
        .iter()
        .enumerate()
        .map(|(column, width)| match column {
            0 => "-".repeat(*width),
            _ => "-".repeat(width - 1) + ":",
        });
    table += &format!("| {} |\n", rulers.collect::<Vec<_>>().join(" | "));
    for row in rows {
        table += &line(row.iter().map(String::as_str), &widths);
    }
    table
}

fn line<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    let padded = cells
        .zip(widths)
        .enumerate()
        .map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
    format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["a".to_owned(), "1–2".to_owned()],
            vec!["bcd".to_owned(), "3".to_owned()],
        ];
        let expected = "|     | x ms |\n| --- | ---: |\n| a   |  1–2 |\n| bcd |    3 |\n";
        assert_eq!(render(&["", "x ms"], &rows), expected);
    }
}
