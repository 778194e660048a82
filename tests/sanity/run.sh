#!/usr/bin/env bash
# ansible-test sanity on this checkout, all tests that need no container: tests/sanity/run.sh [option of ansible-test sanity ...]
#
# ansible-test insists on a real folder .../ansible_collections/fraiseql/resilience, and on its own copy of pip. Both are laid
# under build/sanity, which is also HOME for the run: of the user's own home only pip's configuration and cache are used.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
top=$PWD
export PATH=$top/.venv/bin:$PATH
tree=$top/build/sanity
home=$tree/home
collections=$tree/ansible_collections
collection=$collections/fraiseql/resilience

# Every file that Git would commit, as it stands now.
rm -rf "$collection"
mkdir -p "$collection" "$home/.ansible/test/cache"
git ls-files --cached --others --exclude-standard -z |
  while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
  tar --create --null --files-from=- | tar --extract --directory="$collection"
# ansible-test asks Git which files there are; without a repository of its own it would find the ignored folder build/.
git -C "$collection" init --quiet
git -C "$collection" add --all

# The collections that this one calls, from the environment that `make setup` made.
site=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ansible_collections
for name in $(python -c 'import yaml; print(*yaml.safe_load(open("galaxy.yml"))["dependencies"])'); do
  mkdir -p "$collections/${name%.*}"
  ln -sfn "$site/${name/.//}" "$collections/${name/.//}"
done

pip_version=$(python -c '
import types
from ansible_test._internal.python_requirements import get_venv_packages
print(get_venv_packages(types.SimpleNamespace(version="3.11"))["pip"].replace(".", "_"))')
cp tests/sanity/get_pip.py "$home/.ansible/test/cache/get_pip_$pip_version.py"

for folder in .config/pip .cache/pip; do
  mkdir -p "$HOME/$folder" "$home/${folder%/*}"
  ln -sfn "$HOME/$folder" "$home/$folder"
done

# Not shebang: it knows no #!/usr/bin/python3, which is what a program on a Debian host begins with; tests/unit checks ours.
cd "$collection"
exec env HOME="$home" ansible-test sanity --python 3.11 --color no --skip-test shebang "$@"
