//! Resolve: from a name to the digests of what it means now, for one platform.

use bytes::Bytes;
use reqwest::{Method, header};
use skep_model::{Digest, ImageRef, Platform};

use crate::{
    Client, Descriptor, ImageConfig, Index, Manifest, MediaType, RegistryError,
    client::Access,
    http::{Answer, Call},
    media::DescriptorPlatform,
};

/// A manifest or an index, as the registry keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The digest of `bytes`, computed here.
    pub digest: Digest,
    /// What it is.
    pub media_type: String,
    /// Itself.
    pub bytes: Bytes,
}

/// What an image reference means now.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// What the reference points at: an index where the image has one. This is what a manifest's `image:` is pinned to.
    pub digest: Digest,
    /// The manifest for the platform; the same as `digest` where there is no index.
    pub manifest_digest: Digest,
    /// That manifest.
    pub manifest: Manifest,
}

impl Client {
    /// Finds the manifest that `image` means on `platform`. Entries of an index that are no images (attestations) are passed over.
    /// An image without an index is taken as it is: its platform is in its config ([`Client::config_of`]).
    ///
    /// # Errors
    /// [`RegistryError::NotFound`], [`RegistryError::NoSuchPlatform`], and the others.
    pub async fn resolve(&self, image: &ImageRef, platform: &Platform) -> Result<Resolved, RegistryError> {
        let top = self.manifest(image).await?;
        if !MediaType::is_index(&top.media_type) {
            return Ok(Resolved {
                digest: top.digest,
                manifest_digest: top.digest,
                manifest: self.parse(image, &top, "an image manifest")?,
            });
        }
        let index: Index = self.parse(image, &top, "an image index")?;
        let entry = choose(&index, platform).ok_or_else(|| RegistryError::NoSuchPlatform {
            at: self.at(image, "resolve"),
            wanted: platform.clone(),
            found: images(&index).map(|(_, platform)| platform.into()).collect(),
        })?;
        let chosen = self.manifest(&image.pinned(entry.digest)).await?;
        Ok(Resolved {
            digest: top.digest,
            manifest_digest: chosen.digest,
            manifest: self.parse(image, &chosen, "an image manifest")?,
        })
    }

    /// Fetches the manifest or index that `image` names, and checks it against its digest.
    ///
    /// # Errors
    /// As [`RegistryError`] lists them.
    pub async fn manifest(&self, image: &ImageRef) -> Result<Fetched, RegistryError> {
        let at = self.at(image, "pull");
        let url = self.url(image, &format!("manifests/{}", image.reference()))?;
        let call = Call::new(Method::GET, url, Access::Pull).header(header::ACCEPT, MediaType::ACCEPTED);
        let answer = self.call(image, call, &at).await?;
        let digest = Digest::of(&answer.body);
        if let Some(expected) = image.digest.or_else(|| answer.digest())
            && expected != digest
        {
            return Err(RegistryError::DigestMismatch { at, expected, found: digest });
        }
        Ok(Fetched { digest, media_type: media_type(&answer), bytes: answer.body })
    }

    /// The digest under which the registry has `image` now; `None` when it hasn't.
    ///
    /// # Errors
    /// As [`RegistryError`] lists them, [`RegistryError::NotFound`] excepted.
    pub async fn has_manifest(&self, image: &ImageRef) -> Result<Option<Digest>, RegistryError> {
        self.head_manifest(image, Access::Pull).await
    }

    pub(crate) async fn head_manifest(
        &self,
        image: &ImageRef,
        access: Access,
    ) -> Result<Option<Digest>, RegistryError> {
        let at = self.at(image, if access == Access::Push { "push" } else { "resolve" });
        let url = self.url(image, &format!("manifests/{}", image.reference()))?;
        let call = Call::new(Method::HEAD, url, access).header(header::ACCEPT, MediaType::ACCEPTED);
        match self.call(image, call, &at).await {
            // Some registries leave the digest out of a HEAD's answer.
            Ok(answer) => match answer.digest() {
                Some(digest) => Ok(Some(digest)),
                None => Ok(Some(self.manifest(image).await?.digest)),
            },
            Err(RegistryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The config of a resolved image: its platform, its user, how it starts.
    ///
    /// # Errors
    /// As [`RegistryError`] lists them.
    pub async fn config_of(
        &self,
        image: &ImageRef,
        resolved: &Resolved,
    ) -> Result<ImageConfig, RegistryError> {
        let bytes = self.small_blob(image, &resolved.manifest.config).await?;
        serde_json::from_slice(&bytes).map_err(|error| RegistryError::Malformed {
            at: self.at(image, "pull"),
            expected: "an image config",
            source: Some(Box::new(error)),
        })
    }

    /// A blob that is held in memory, checked against its digest.
    pub(crate) async fn small_blob(
        &self,
        image: &ImageRef,
        blob: &Descriptor,
    ) -> Result<Bytes, RegistryError> {
        let at = self.at_blob(image, &blob.digest, "pull");
        let url = self.url(image, &format!("blobs/{}", blob.digest))?;
        let answer = self.call(image, Call::new(Method::GET, url, Access::Pull), &at).await?;
        let found = Digest::of(&answer.body);
        if found != blob.digest {
            return Err(RegistryError::DigestMismatch { at, expected: blob.digest, found });
        }
        Ok(answer.body)
    }

    pub(crate) fn parse<T: serde::de::DeserializeOwned>(
        &self,
        image: &ImageRef,
        fetched: &Fetched,
        expected: &'static str,
    ) -> Result<T, RegistryError> {
        serde_json::from_slice(&fetched.bytes).map_err(|error| RegistryError::Malformed {
            at: self.at(image, "resolve"),
            expected,
            source: Some(Box::new(error)),
        })
    }
}

/// What the answer says it is; the document itself says it when a static file server doesn't.
fn media_type(answer: &Answer) -> String {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Says {
        media_type: Option<String>,
        #[serde(default)]
        manifests: Option<serde::de::IgnoredAny>,
    }
    let told = answer.header("content-type").unwrap_or_default();
    let told = told.split(';').next().unwrap_or_default().trim();
    if told.starts_with("application/vnd.") {
        return told.to_owned();
    }
    match serde_json::from_slice::<Says>(&answer.body) {
        Ok(Says { media_type: Some(own), .. }) => own,
        Ok(Says { manifests: Some(_), .. }) => MediaType::INDEX.to_owned(),
        _ => MediaType::MANIFEST.to_owned(),
    }
}

/// The entries of an index that are images, with their platforms.
fn images(index: &Index) -> impl Iterator<Item = (&Descriptor, &DescriptorPlatform)> {
    index.manifests.iter().filter_map(|entry| {
        let platform = entry.platform.as_ref()?;
        let attests = entry.annotations.contains_key("vnd.docker.reference.type");
        let unknown = platform.os == "unknown" || platform.architecture == "unknown";
        (!attests && !unknown).then_some((entry, platform))
    })
}

/// The entry for `wanted`: the same variant if there is one, else the plainest, as containerd does.
fn choose<'a>(index: &'a Index, wanted: &Platform) -> Option<&'a Descriptor> {
    let fits = || {
        images(index).filter(|(_, found)| found.os == wanted.os && found.architecture == wanted.architecture)
    };
    let with_variant = |variant: Option<&str>| {
        fits()
            .find(|(_, found)| plain(&wanted.architecture, found.variant.as_deref()) == variant)
            .map(|(entry, _)| entry)
    };
    let variant = plain(&wanted.architecture, wanted.variant.as_deref());
    match with_variant(variant) {
        Some(entry) => Some(entry),
        None if variant.is_none() => fits().next().map(|(entry, _)| entry),
        None => with_variant(None),
    }
}

/// `v8` of arm64 is all of arm64; `v1` of amd64 is all of amd64.
fn plain<'a>(architecture: &str, variant: Option<&'a str>) -> Option<&'a str> {
    variant.filter(|variant| !matches!((architecture, *variant), ("arm64", "v8") | ("amd64", "v1")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(entries: &serde_json::Value) -> Index {
        serde_json::from_value(serde_json::json!({"schemaVersion": 2, "manifests": entries}))
            .expect("an index")
    }

    fn entry(name: &str, platform: &serde_json::Value, attests: bool) -> serde_json::Value {
        let mut entry = serde_json::json!({
            "mediaType": MediaType::MANIFEST, "size": 1, "digest": Digest::of(name.as_bytes()), "platform": platform,
        });
        if attests {
            entry["annotations"] = serde_json::json!({"vnd.docker.reference.type": "attestation-manifest"});
        }
        entry
    }

    fn chosen(index: &Index, platform: &str) -> Option<Digest> {
        choose(index, &platform.parse().expect("a platform")).map(|entry| entry.digest)
    }

    #[test]
    fn attestations_are_no_images() {
        let amd64 = serde_json::json!({"os": "linux", "architecture": "amd64"});
        let index = index(&serde_json::json!([
            entry("unknown", &serde_json::json!({"os": "unknown", "architecture": "unknown"}), true),
            entry("attested", &amd64, true),
            entry("real", &amd64, false),
        ]));
        assert_eq!(chosen(&index, "linux/amd64"), Some(Digest::of(b"real")));
        assert_eq!(chosen(&index, "linux/arm64"), None);
        assert_eq!(images(&index).count(), 1);
    }

    #[test]
    fn variants() {
        let arm =
            |variant: &str| serde_json::json!({"os": "linux", "architecture": "arm", "variant": variant});
        let arm64 = serde_json::json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
        let index = index(&serde_json::json!([
            entry("v5", &arm("v5"), false),
            entry("v7", &arm("v7"), false),
            entry("arm64", &arm64, false),
        ]));
        assert_eq!(chosen(&index, "linux/arm/v7"), Some(Digest::of(b"v7")));
        assert_eq!(chosen(&index, "linux/arm"), Some(Digest::of(b"v5")));
        assert_eq!(chosen(&index, "linux/arm64"), Some(Digest::of(b"arm64")));
        assert_eq!(chosen(&index, "linux/arm64/v8"), Some(Digest::of(b"arm64")));
    }
}
