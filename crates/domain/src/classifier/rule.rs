//! Publishing a classifier: versions follow one another, codes the rules need are kept.

use crate::classifier::facts::ClassifierPublished;
use crate::classifier::list;
use crate::classifier::request::ClassifierRequest;
use crate::classifier::state::ClassifierState;
use crate::decide::Context;
use crate::fact::Fact;
use crate::refusal::{Refusal, RefusalCode};

/// Decides a request about a classifier.
pub(crate) fn decide(
    state: &ClassifierState,
    request: &ClassifierRequest,
    ctx: &Context<'_>,
) -> Result<Vec<Fact>, Refusal> {
    let ClassifierRequest::Publish(request) = request;
    let present = state.version.max(ctx.classifiers.version(request.id.as_str()));
    if request.version != present + 1 {
        let message = format!(
            "version {present} is in force; look at it and publish version {}",
            present + 1
        );
        return Err(Refusal::field(RefusalCode::Stale, "version", message));
    }
    for (id, kept) in list::KEPT {
        if request.id == id && !request.entries.iter().any(|entry| entry.code == kept) {
            let message = format!("must keep code {kept}, because a rule depends on it");
            return Err(Refusal::field(RefusalCode::OutOfRange, "entries", message));
        }
    }
    let fact = ClassifierPublished {
        id: request.id.clone(),
        version: request.version,
        entries: request.entries.clone(),
    };
    Ok(vec![fact.into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::{Entry, PublishClassifier};
    use crate::decide::LogTarget;
    use crate::ids::ClassifierId;
    use crate::testing::{Desk, code};

    fn entry(name: &str) -> Entry {
        Entry { code: code(name), kk: "қ".into(), ru: "р".into(), en: "e".into() }
    }

    fn publish(id: &str, version: u32, codes: &[&str]) -> PublishClassifier {
        let entries = codes.iter().map(|name| entry(name)).collect();
        PublishClassifier { id: code(id), version, entries }
    }

    fn desk(id: &str) -> Desk {
        let mut desk = Desk::centre();
        desk.stream = ClassifierId::of(&code(id)).uuid();
        desk
    }

    #[test]
    fn version_two_follows_the_built_in_one() {
        let desk = desk("topic");
        let decision = desk.accepts(&[], publish("topic", 2, &["other"]));
        assert_eq!(decision.streams[0].0.log, LogTarget::All);
        let history = decision.own().to_vec();
        desk.accepts(&history, publish("topic", 3, &["other", "new"]));
        let again = publish("topic", 2, &["other"]);
        desk.refuses(&history, again, RefusalCode::Stale, Some("version"));
        let skipped = publish("topic", 4, &["other"]);
        desk.refuses(&history, skipped, RefusalCode::Stale, Some("version"));
    }

    #[test]
    fn a_list_of_newer_software_begins_at_one() {
        desk("brand_new").accepts(&[], publish("brand_new", 1, &["a"]));
    }

    #[test]
    fn codes_of_rules_are_kept_and_lists_are_clean() {
        let desk1 = desk("closure");
        let request = publish("closure", 2, &["answered", "anonymous"]);
        desk1.refuses(&[], request, RefusalCode::OutOfRange, Some("entries"));
        let desk2 = desk("topic");
        let repeated = publish("topic", 2, &["other", "other"]);
        desk2.refuses(&[], repeated, RefusalCode::Repeated, Some("entries[1]"));
        desk2.refuses(&[], publish("topic", 2, &[]), RefusalCode::Required, Some("entries"));
        let mut unlabelled = publish("topic", 2, &["other"]);
        unlabelled.entries[0].kk = " ".into();
        desk2.refuses(&[], unlabelled, RefusalCode::Required, Some("entries[0].kk"));
    }

    #[test]
    fn only_the_centre_and_only_its_own_stream() {
        let request = publish("topic", 2, &["other"]);
        let region = Desk::region();
        region.refuses(&[], request.clone(), RefusalCode::NotPermitted, None);
        let elsewhere = Desk::centre();
        elsewhere.refuses(&[], request, RefusalCode::Malformed, Some("stream_id"));
    }
}
