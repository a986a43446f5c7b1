//! Expressions of PromQL, as far as it takes to say which metrics and labels they name.

use std::collections::{BTreeMap, BTreeSet};

/// What Prometheus makes itself.
const MADE: &[&str] = &["up", "ALERTS"];
/// Labels that Prometheus puts on everything.
const TARGET: &[&str] = &["job", "instance"];
const GROUPING: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];
const OPERATORS: &[&str] = &["and", "or", "unless", "bool", "offset"];

/// Metrics as they are served: for each the values of its labels.
pub(super) struct Metrics(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

/// A metric, and what is asked of its labels: name, operator, value.
struct Selector {
    metric: String,
    matchers: Vec<(String, String, String)>,
}

#[derive(Debug, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Sign(char),
}

impl Metrics {
    /// Reads Prometheus' text format.
    pub(super) fn read(text: &str) -> Self {
        let mut metrics = BTreeMap::<_, BTreeMap<_, BTreeSet<_>>>::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (series, _value) = line.rsplit_once(' ').expect("a value");
            for Selector { metric, matchers } in selectors(&tokens(series)).0 {
                let labels = metrics.entry(metric).or_default();
                for (name, _, value) in matchers {
                    labels.entry(name).or_default().insert(value);
                }
            }
        }
        Self(metrics)
    }

    /// What in an expression, and in the labels that are shown of its results, is not served; `place` says whose.
    pub(super) fn faults(&self, expression: &str, shown: &[String], place: &str) -> Vec<String> {
        let (selectors, grouped) = selectors(&tokens(expression));
        let mut faults = Vec::new();
        let mut known: BTreeSet<&str> = TARGET.iter().copied().collect();
        assert!(!selectors.is_empty(), "{place}: {expression}");
        for Selector { metric, matchers } in &selectors {
            if MADE.contains(&metric.as_str()) {
                continue;
            }
            let Some(labels) = self.0.get(metric) else {
                faults.push(format!("{place}: there is no {metric}"));
                continue;
            };
            known.extend(labels.keys().map(String::as_str));
            for (label, operator, value) in matchers.iter().filter(|(label, ..)| !TARGET.contains(&label.as_str())) {
                let served = labels
                    .get(label)
                    .is_some_and(|values| operator != "=" || values.contains(value));
                if !served {
                    faults.push(format!("{place}: {metric} has no {label}{operator}{value}"));
                }
            }
        }
        for label in grouped
            .iter()
            .chain(shown)
            .filter(|label| !known.contains(label.as_str()))
        {
            faults.push(format!("{place}: there is no label {label}"));
        }
        faults
    }
}

/// The names that follow `mark` in a legend or an annotation.
pub(super) fn labels_shown(text: &str, mark: &str) -> Vec<String> {
    let name = |after: &str| {
        after
            .chars()
            .take_while(|&c| c.is_alphanumeric() || c == '_')
            .collect::<String>()
    };
    text.split(mark).skip(1).map(name).collect()
}

fn tokens(expression: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.');
        let (token, length) = match first {
            '"' => {
                let end = rest[1..].find('"').expect("the end of a text");
                (Some(Token::Text(rest[1..=end].to_owned())), end + 2)
            }
            // A variable of Grafana's, a number or a duration.
            '$' | '0'..='9' => (None, 1 + rest[1..].find(|c| !in_word(c)).unwrap_or(rest.len() - 1)),
            c if in_word(c) => {
                let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
                (Some(Token::Name(rest[..end].to_owned())), end)
            }
            sign => (Some(Token::Sign(sign)), sign.len_utf8()),
        };
        tokens.extend(token);
        rest = rest[length..].trim_start();
    }
    tokens
}

/// The selectors of an expression, and the labels by which it groups.
fn selectors(tokens: &[Token]) -> (Vec<Selector>, Vec<String>) {
    let (mut selectors, mut grouped) = (Vec::new(), Vec::new());
    let mut index = 0;
    while index < tokens.len() {
        let Token::Name(name) = &tokens[index] else {
            index += 1;
            continue;
        };
        let next = tokens.get(index + 1);
        // `sum by (x) (...)`, or `rate(...)`.
        let function = match next {
            Some(Token::Name(next)) => GROUPING.contains(&next.as_str()),
            next => next == Some(&Token::Sign('(')),
        };
        let closed_by = |close: char| {
            let end = tokens[index..].iter().position(|token| *token == Token::Sign(close));
            index + end.expect("the end of a list")
        };
        if GROUPING.contains(&name.as_str()) {
            let end = closed_by(')');
            grouped.extend(tokens[index + 1..end].iter().filter_map(|token| match token {
                Token::Name(label) => Some(label.clone()),
                _ => None,
            }));
            index = end;
        } else if next == Some(&Token::Sign('{')) {
            let end = closed_by('}');
            selectors.push(Selector {
                metric: name.clone(),
                matchers: matchers(&tokens[index + 2..end]),
            });
            index = end;
        } else if !function && !OPERATORS.contains(&name.as_str()) {
            selectors.push(Selector {
                metric: name.clone(),
                matchers: Vec::new(),
            });
        }
        index += 1;
    }
    (selectors, grouped)
}

fn matchers(tokens: &[Token]) -> Vec<(String, String, String)> {
    let mut matchers = Vec::new();
    for one in tokens
        .split(|token| *token == Token::Sign(','))
        .filter(|one| !one.is_empty())
    {
        let [Token::Name(label), operator @ .., Token::Text(value)] = one else {
            panic!("not a matcher: {one:?}")
        };
        let signs = operator.iter().filter_map(|token| match token {
            Token::Sign(sign) => Some(*sign),
            _ => None,
        });
        matchers.push((label.clone(), signs.collect(), value.clone()));
    }
    matchers
}

#[test]
fn names_and_labels_that_are_not_served_are_found() {
    let served = Metrics::read("# HELP a b\na_total{x=\"1\",y=\"2\"} 3\nb 4\n");
    let faults = |expression: &str| served.faults(expression, &[], "here");
    assert_eq!(
        faults("sum by (x, job) (rate(a_total{y=\"2\",z=~\"$z\"}[5m])) > 0.5 * b"),
        ["here: a_total has no z=~$z"]
    );
    assert!(faults("a_total{x=\"1\",y=~\"5..\",job=\"hubbub\"} or b and on (y) b{}").is_empty());
    assert_eq!(faults("b{x=\"1\"}"), ["here: b has no x=1"]);
    assert_eq!(faults("a_total{x=\"2\"}"), ["here: a_total has no x=2"]);
    assert_eq!(faults("time() - c"), ["here: there is no c"]);
    assert_eq!(faults("sum by (z) (b)"), ["here: there is no label z"]);
    assert_eq!(
        served.faults("b", &labels_shown("so {{x}}", "{{"), "here"),
        ["here: there is no label x"]
    );
}
