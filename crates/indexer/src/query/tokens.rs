//! The words of a text, as a split's tokenizer cuts them.

use tantivy::tokenizer::{TextAnalyzer, Token};

/// All of them, in their order.
pub(super) fn tokens(analyzer: &mut TextAnalyzer, text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    analyzer.token_stream(text).process(&mut |token| tokens.push(token.clone()));
    tokens
}
