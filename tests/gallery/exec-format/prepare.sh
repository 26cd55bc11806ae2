# A text that may be executed and names no interpreter.
sed -i 's#/release: release#/release: { from: release, mode: 0755 }#' shop/skep.yaml
