//! Asking venues over HTTP, for prices and for option chains: every request at once, one deadline for all, bodies bounded.

use crate::{
    types::{is_base_url, Source, SourceName},
    worker::{Fault, LOG_TARGET, SOURCE_PREFIX},
};
use alloc::{string::String, vec::Vec};
use sp_core::offchain::{HttpError, HttpRequestId, StorageKind, Timestamp};
use sp_runtime::offchain::http::{Error, PendingRequest, Request};

/// Sends a request to every URL, all at once and once only, and hands over each answer with the URL's place as soon as it is read. What did
/// not answer before the deadline, or with more than `most` bytes, is a fault.
pub(crate) fn fetch(
    urls: &[String],
    deadline: Timestamp,
    most: usize,
    mut each: impl FnMut(usize, Result<String, Fault>),
) {
    let (mut pending, mut places) = (Vec::new(), Vec::new());
    for (place, url) in urls.iter().enumerate() {
        let request = Request::get(url)
            .add_header("User-Agent", "novate-oracle")
            .add_header("Accept", "application/json")
            .deadline(deadline);
        match request.send() {
            Ok(sent) => {
                pending.push(sent);
                places.push(place);
            }
            Err(_) => each(place, Err(Fault::Connection)),
        }
    }
    let answers = PendingRequest::try_wait_all(pending, deadline);
    for (place, answer) in places.into_iter().zip(answers) {
        let body = match answer {
            Err(_) | Ok(Err(Error::DeadlineReached)) => Err(Fault::Timeout),
            Ok(Err(_)) => Err(Fault::Connection),
            Ok(Ok(response)) if response.code == 200 => read_body(response.id, deadline, most),
            Ok(Ok(response)) => Err(Fault::Status(response.code)),
        };
        let text = body.and_then(|b| String::from_utf8(b).map_err(|_| Fault::NotJson));
        each(place, text);
    }
}

fn read_body(id: HttpRequestId, deadline: Timestamp, most: usize) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        let read = sp_io::offchain::http_response_read_body(id, &mut chunk, Some(deadline))
            .map_err(|error| match error {
                HttpError::DeadlineReached => Fault::Timeout,
                _ => Fault::Connection,
            })?;
        if read == 0 {
            return Ok(body);
        }
        let read = usize::try_from(read).ok().and_then(|n| chunk.get(..n));
        body.extend_from_slice(read.ok_or(Fault::Connection)?);
        if body.len() > most {
            return Err(Fault::TooLong);
        }
    }
}

/// The source's base URL: this validator's own choice, if it made one.
pub(crate) fn base_url(name: &SourceName, source: &Source) -> String {
    let key = [SOURCE_PREFIX, name.as_str().as_bytes()].concat();
    let own = sp_io::offchain::local_storage_get(StorageKind::PERSISTENT, &key);
    match own.map(String::from_utf8) {
        None => {}
        Some(Ok(url)) if is_base_url(&url) => return url,
        Some(_) => log::error!(target: LOG_TARGET, "the override of source {name} is no base URL"),
    }
    source.base_url.as_str().into()
}
