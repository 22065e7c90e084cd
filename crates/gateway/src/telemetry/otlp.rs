//! Reads metrics in OTLP (the `MetricsData` of OpenTelemetry's protocol buffers): gauges and sums, of which clients' metrics
//! consist.
//!
//! Only the fields that are shown are read. Work and memory are bounded by the bytes, the number of series and the length of texts.

/// Series taken from one push.
const SERIES_MAX: usize = 5000;
/// Labels of one series.
const LABELS_MAX: usize = 16;
/// Bytes of a name or a label.
const TEXT_MAX: usize = 256;

/// One value with its labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

/// Bytes that are no metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OtlpError {
    #[error("a field goes beyond the end")]
    Truncated,
    #[error("a number is longer than 64 bits")]
    LongNumber,
    #[error("a field has the unknown wire type {0}")]
    WireType(u64),
    #[error("there are more than {SERIES_MAX} series")]
    TooMany,
}

/// The series of a push.
pub(super) fn read(metrics_data: &[u8]) -> Result<Vec<Series>, OtlpError> {
    let mut series = Vec::new();
    for field in fields(metrics_data) {
        if let (1, Value::Bytes(resource_metrics)) = field? {
            read_resource_metrics(resource_metrics, &mut series)?;
        }
    }
    Ok(series)
}

fn read_resource_metrics(bytes: &[u8], series: &mut Vec<Series>) -> Result<(), OtlpError> {
    let mut labels = Vec::new();
    for field in fields(bytes) {
        match field? {
            (1, Value::Bytes(resource)) => read_attributes(resource, 1, &mut labels)?,
            (2, Value::Bytes(scope_metrics)) => {
                for field in fields(scope_metrics) {
                    if let (2, Value::Bytes(metric)) = field? {
                        read_metric(metric, &labels, series)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_metric(bytes: &[u8], labels: &[(String, String)], series: &mut Vec<Series>) -> Result<(), OtlpError> {
    let mut name = None;
    for field in fields(bytes) {
        match field? {
            (1, Value::Bytes(text)) => name = read_text(text),
            // A gauge or a sum; its points are field 1 of either.
            (5 | 7, Value::Bytes(data)) => {
                let Some(name) = &name else { continue };
                for field in fields(data) {
                    let (1, Value::Bytes(point)) = field? else { continue };
                    if series.len() >= SERIES_MAX {
                        return Err(OtlpError::TooMany);
                    }
                    series.extend(read_point(point, name, labels)?);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_point(bytes: &[u8], name: &str, labels: &[(String, String)]) -> Result<Option<Series>, OtlpError> {
    let mut labels = labels.to_vec();
    let mut value = None;
    for field in fields(bytes) {
        match field? {
            (4, Value::Fixed64(double)) => value = Some(f64::from_bits(double)),
            (6, Value::Fixed64(integer)) => value = Some(integer.cast_signed() as f64),
            (7, Value::Bytes(attribute)) => read_attribute(attribute, &mut labels)?,
            _ => {}
        }
    }
    Ok(value.map(|value| Series { name: name.to_owned(), labels, value }))
}

/// Attributes that are field `number` of a message.
fn read_attributes(bytes: &[u8], number: u64, labels: &mut Vec<(String, String)>) -> Result<(), OtlpError> {
    for field in fields(bytes) {
        match field? {
            (found, Value::Bytes(attribute)) if found == number => read_attribute(attribute, labels)?,
            _ => {}
        }
    }
    Ok(())
}

fn read_attribute(bytes: &[u8], labels: &mut Vec<(String, String)>) -> Result<(), OtlpError> {
    let (mut key, mut text) = (None, None);
    for field in fields(bytes) {
        match field? {
            (1, Value::Bytes(name)) => key = read_text(name),
            (2, Value::Bytes(any)) => text = read_any(any)?,
            _ => {}
        }
    }
    if let (Some(key), Some(text)) = (key, text)
        && labels.len() < LABELS_MAX
    {
        labels.push((key, text));
    }
    Ok(())
}

/// A text, boolean or whole number, as text.
fn read_any(bytes: &[u8]) -> Result<Option<String>, OtlpError> {
    let mut text = None;
    for field in fields(bytes) {
        text = match field? {
            (1, Value::Bytes(value)) => read_text(value),
            (2, Value::Varint(value)) => Some((value != 0).to_string()),
            (3, Value::Varint(value)) => Some(value.cast_signed().to_string()),
            _ => text,
        };
    }
    Ok(text)
}

/// A text, when it is one and not too long.
fn read_text(bytes: &[u8]) -> Option<String> {
    if bytes.len() > TEXT_MAX {
        return None;
    }
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// The value of a field, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// The fields of a message: number and value.
fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<(u64, Value<'_>), OtlpError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = read_field(&mut rest);
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn read_field<'a>(rest: &mut &'a [u8]) -> Result<(u64, Value<'a>), OtlpError> {
    let tag = read_varint(rest)?;
    let value = match tag & 7 {
        0 => Value::Varint(read_varint(rest)?),
        1 => Value::Fixed64(u64::from_le_bytes(*take_array::<8>(rest)?)),
        2 => {
            let length = usize::try_from(read_varint(rest)?).map_err(|_| OtlpError::Truncated)?;
            Value::Bytes(take(rest, length)?)
        }
        5 => {
            take_array::<4>(rest)?;
            Value::Fixed32
        }
        other => return Err(OtlpError::WireType(other)),
    };
    Ok((tag >> 3, value))
}

fn read_varint(rest: &mut &[u8]) -> Result<u64, OtlpError> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let [byte] = take_array::<1>(rest)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(OtlpError::LongNumber)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], OtlpError> {
    let (taken, left) = rest.split_at_checked(length).ok_or(OtlpError::Truncated)?;
    *rest = left;
    Ok(taken)
}

fn take_array<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], OtlpError> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(OtlpError::Truncated)?;
    *rest = left;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of wire type 2.
    fn message(number: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        assert!(body.len() < 1 << 14);
        bytes.extend([body.len() as u8 | 0x80, (body.len() >> 7) as u8]);
        bytes.extend_from_slice(body);
        bytes
    }

    fn attribute(number: u8, key: &str, text: &str) -> Vec<u8> {
        let value = message(2, &message(1, text.as_bytes()));
        message(number, &[message(1, key.as_bytes()), value].concat())
    }

    fn double(value: f64) -> Vec<u8> {
        [&[4 << 3 | 1][..], &value.to_le_bytes()].concat()
    }

    fn metric(name: &str, kind: u8, points: &[Vec<u8>]) -> Vec<u8> {
        let points: Vec<u8> = points.iter().flat_map(|point| message(1, point)).collect();
        message(2, &[message(1, name.as_bytes()), message(kind, &points)].concat())
    }

    fn push(metrics: &[Vec<u8>]) -> Vec<u8> {
        let resource = message(1, &attribute(1, "client_rack", "a"));
        message(1, &[resource, message(2, &metrics.concat())].concat())
    }

    #[test]
    fn gauges_and_sums_are_read_with_their_labels() {
        let point = [attribute(7, "topic", "t"), double(2.5)].concat();
        let whole = [&[6 << 3 | 1][..], &(-7i64).to_le_bytes()].concat();
        let histogram = metric("h", 9, &[double(1.0)]);
        let bytes = push(&[metric("a.gauge", 5, &[point]), histogram, metric("a.sum", 7, &[whole])]);
        let labels = |labels: &[(&str, &str)]| {
            labels.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect::<Vec<_>>()
        };
        let expected = [
            Series {
                name: "a.gauge".to_owned(),
                labels: labels(&[("client_rack", "a"), ("topic", "t")]),
                value: 2.5,
            },
            Series { name: "a.sum".to_owned(), labels: labels(&[("client_rack", "a")]), value: -7.0 },
        ];
        assert_eq!(read(&bytes), Ok(expected.to_vec()));
    }

    #[test]
    fn what_is_cut_or_changed_is_an_error_or_less_and_never_a_panic() {
        let point = [attribute(7, "topic", "t"), double(2.5)].concat();
        let bytes = push(&[metric("a", 5, &[point.clone(), point])]);
        for end in 0..bytes.len() {
            let _ = read(&bytes[..end]);
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                let _ = read(&changed);
            }
        }
        assert_eq!(read(&[0x0a, 5, 1]), Err(OtlpError::Truncated));
        assert_eq!(read(&[0xff; 11]), Err(OtlpError::LongNumber));
        assert_eq!(read(&[0x0b]), Err(OtlpError::WireType(3)));
    }

    #[test]
    fn series_labels_and_texts_have_limits() {
        let many: Vec<Vec<u8>> = (0..100).map(|_| metric("a", 5, &vec![double(1.0); 60])).collect();
        let bytes: Vec<u8> = many.iter().flat_map(|metric| push(std::slice::from_ref(metric))).collect();
        assert_eq!(read(&bytes), Err(OtlpError::TooMany));
        let labels: Vec<u8> = (0..40).flat_map(|_| attribute(7, "k", "v")).collect();
        let long = [attribute(7, "long", &"x".repeat(300)), double(1.0)].concat();
        let bytes = push(&[metric("a", 5, &[[labels, double(1.0)].concat(), long])]);
        let read = read(&bytes).unwrap();
        assert_eq!(read[0].labels.len(), LABELS_MAX);
        assert_eq!(read[1].labels.len(), 1, "a text that is too long is left out");
    }
}
