#!/usr/bin/env bash
# Build the collection as a user would get it, and check its documentation where it is read from.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PWD/.venv/bin:$PATH
out=$PWD/build/collection
rm -rf "$out"
mkdir -p "$out"

ansible-galaxy collection build --output-path "$out" >/dev/null
installed=$out/ansible_collections/fraiseql/resilience
mkdir -p "$installed"
tar --extract --gzip --file="$(echo "$out"/*.tar.gz)" --directory="$installed"

unexpected=$(find "$installed" -mindepth 1 -maxdepth 1 -printf '%f\n' |
  grep --invert-match --line-regexp --regexp={CHANGELOG.md,CONTRIBUTING.md,FILES.json,LICENSE,MANIFEST.json,README.md} \
    --regexp={changelogs,docs,extensions,meta,playbooks,plugins,requirements.txt,requirements.yml,bindep.txt,roles} || [ $? -eq 1 ])
if [ -n "$unexpected" ]; then
  printf 'The built collection holds what a user does not need; add to build_ignore in galaxy.yml:\n%s\n' "$unexpected" >&2
  exit 1
fi

cp galaxy.yml "$installed"
(cd "$installed" && antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck .)
