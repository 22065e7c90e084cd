//! Texts cut around their marks.

use std::ops::Range;

use super::Highlight;

#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Characters.
    pub(super) size: usize,
    /// Zero: the whole text.
    pub(super) count: usize,
}

impl Cut {
    pub(super) fn fragments(self, text: &str, marked: &[Range<usize>], how: &Highlight) -> Vec<String> {
        if self.count == 0 || self.size >= text.len() {
            return vec![render(text, 0..text.len(), marked, how)];
        }
        let mut fragments = Vec::new();
        let (mut rest, mut end) = (marked, 0);
        while let Some(first) = rest.first() {
            if fragments.len() == self.count {
                break;
            }
            let lead = self.size.saturating_sub(first.len()) / 2;
            let begin = text.ceil_char_boundary(first.start.saturating_sub(lead).max(end));
            end = text.ceil_char_boundary(begin.saturating_add(self.size).max(first.end));
            let inside = rest.iter().take_while(|range| range.end <= end).count().max(1);
            let (now, later) = rest.split_at(inside);
            fragments.push(render(text, begin..end, now, how));
            rest = later;
        }
        fragments
    }
}

fn render(text: &str, part: Range<usize>, marked: &[Range<usize>], how: &Highlight) -> String {
    let mut out = String::with_capacity(part.len() + marked.len() * (how.pre.len() + how.post.len()));
    let mut at = part.start;
    for range in marked {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(&how.pre);
        out.push_str(text.get(range.clone()).unwrap_or_default());
        out.push_str(&how.post);
        at = range.end;
    }
    out.push_str(text.get(at..part.end).unwrap_or_default());
    out
}
