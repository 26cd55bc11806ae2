# Half of what the node has, and a little more.
half=$(kubectl get nodes -o jsonpath='{.items[0].status.allocatable.memory}' | sed 's/Ki$//' | awk '{ print int($1 / 2) + 1024 }')
sed -i "s/HALF/$half/" shop/broken/shop.yaml
