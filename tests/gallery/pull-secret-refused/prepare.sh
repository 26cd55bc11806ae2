# Somebody pushed it, and the pull secret of the namespace holds a password that is none any more.
skopeo copy --src-tls-verify=false --dest-tls-verify=false --dest-creds 'ali:open sesame' docker://SHOP docker://PRIVATE/team/app:1 >&2
mkdir -p shop/docker
echo '{"auths":{"PRIVATE":{"auth":"LOGIN"}}}' >shop/docker/config.json
