# Sourced by the scripts that unpack Debian packages into the cache, without
# installing them: nothing needs root, and the system's own package lists are
# neither read nor changed. The caller sets $suite and $layout; begin sets $work,
# the folder that publish moves to its place.

cache=${MIDFLIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/midflight}

die() { echo "$0: $*" >&2; exit 1; }

# The mirror that the system's own sources name, so that a local or a
# configured one is used. Security mirrors carry no whole suite.
mirror() {
	cat /dev/null /etc/apt/sources.list.d/*.sources 2>/dev/null |
		awk 'tolower($1) == "uris:" { for (i = 2; i <= NF; i++) print $i }' >"$work/uris"
	cat /dev/null /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
		sed -n 's/^[[:space:]]*deb[[:space:]]\{1,\}\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\).*/\2/p' >>"$work/uris"
	grep -E '/debian(/|$|\.list$)' "$work/uris" | grep -v -- security | head -n 1 || true
}

# An apt of our own: it knows one suite ($suite), believes nothing to be installed (so
# that it brings every dependency, the C library too), and keeps all its files
# in $work. The system's apt.conf is still read, for proxies; its hooks are not
# wanted, and -c comes after apt.conf.d, so that #clear reaches them.
apt_setup() {
	local from keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
		die "no apt-get and dpkg here: install the servers and name them in MIDFLIGHT_MYSQLD and MIDFLIGHT_MARIADBD"
	[ -r "$keyring" ] || die "no $keyring: install the package debian-archive-keyring"
	from=$(mirror)
	: "${from:=http://deb.debian.org/debian}"
	mkdir -p "$work"/apt/{lists/partial,archives/partial,parts}
	: >"$work/apt/status"
	cat >"$work/apt/sources.list" <<-END
		deb [signed-by=$keyring] $from $suite main
	END
	cat >"$work/apt/apt.conf" <<-END
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear APT::Update::Pre-Invoke;
		#clear DPkg::Post-Invoke;
		#clear DPkg::Pre-Invoke;
		#clear DPkg::Pre-Install-Pkgs;
		#clear APT::Default-Release;
		#clear Acquire::IndexTargets::deb::DEP-11;
		Dir::Etc::sourcelist "$work/apt/sources.list";
		Dir::Etc::sourceparts "$work/apt/parts";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "$work/apt/parts";
		Dir::State "$work/apt";
		Dir::State::lists "$work/apt/lists";
		Dir::State::status "$work/apt/status";
		Dir::State::extended_states "$work/apt/extended_states";
		Dir::Cache "$work/apt";
		Dir::Cache::archives "$work/apt/archives";
		Dir::Log "$work/apt";
		APT::Sandbox::User "";
		APT::Install-Recommends "false";
		APT::Install-Suggests "false";
		APT::Get::Assume-Yes "true";
		Acquire::Languages "none";
		Acquire::Retries "3";
	END
}

apt() { apt-get -c "$work/apt/apt.conf" -o Debug::NoLocking=true "$@"; }

apt_update() {
	if ! LC_ALL=C apt -qq update >"$work/update.log" 2>&1 || grep -q '^[EW]:' "$work/update.log"; then
		if grep -qiE 'expired|not valid (yet|since)|is not valid' "$work/update.log"; then
			echo "$0: the mirror's index has expired (a lagging mirror); going on with it" >&2
			apt -qq -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false update >"$work/update.log" 2>&1 || true
		fi
	fi
	[ -n "$(find "$work/apt/lists" -name '*Packages*' -print -quit)" ] || {
		cat "$work/update.log" >&2
		die "read the package index of $suite: see above"
	}
}

# Unpacks packages and all they depend on into $work/root.
unpack() { # package...
	local deb
	apt_setup
	apt_update
	# apt's own output is wanted only when it fails.
	apt -qq --download-only install "$@" >"$work/install.log" 2>&1 || {
		cat "$work/install.log" >&2
		die "download $* from $suite: see above"
	}
	mkdir -p "$work/root"
	for deb in "$work"/apt/archives/*.deb; do
		dpkg -x "$deb" "$work/root" || die "unpack $deb"
	done
}

# Where the unpacked root keeps its loader and libraries: it differs between
# Debian releases (before and after the merge of /lib into /usr/lib) and
# between architectures.
find_loader() {
	local dir
	loader=$(cd "$work/root" && find . \( -type f -o -type l \) -name 'ld-linux*.so.*' | sed 's,^\./,,' | sort -r |
		while read -r f; do [ -e "$f" ] && { echo "$f"; break; }; done)
	[ -n "$loader" ] || die "no C library among the packages of $suite"
	libs=
	for dir in $(cd "$work/root" && find lib usr/lib -maxdepth 1 -type d -name '*-linux-gnu*' 2>/dev/null); do
		libs=$libs\$root/$dir:
		[ -d "$work/root/$dir/mysql" ] && libs=$libs\$root/$dir/mysql:
	done
	[ ! -d "$work/root/usr/lib/mysql/private" ] || libs=$libs\$root/usr/lib/mysql/private:
	libs=${libs%:}
}

# Puts the finished folder in its place. Whoever is first wins; a rename onto a
# folder that is in use would not be atomic, so nothing is replaced.
publish() { # name
	echo "$layout" >"$work/layout"
	rm -rf "$work/apt" "$work"/*.log "$work/uris"
	rm -rf "$work"/root/usr/share/{doc,man,locale,lintian,perl}
	if ! mv -T "$work" "$cache/$1" 2>/dev/null; then
		[ -x "$cache/$1/bin" ] || die "move $work to $cache/$1"
	fi
}

cached() { # name
	[ "$(cat "$cache/$1/layout" 2>/dev/null)" = "$layout" ]
}

begin() { # name
	mkdir -p "$cache"
	# An unfinished or outdated folder goes away first: publish replaces nothing.
	[ ! -e "$cache/$1" ] || cached "$1" || rm -rf "${cache:?}/$1"
	# What killed runs have left.
	find "$cache" -maxdepth 1 -name ".$1.*" -mmin +60 -exec rm -rf {} +
	work=$(mktemp -d "$cache/.$1.XXXXXX")
	# shellcheck disable=SC2064 # $work as it is now
	trap "rm -rf '$work'" EXIT
	trap 'exit 1' INT TERM HUP
	mkdir "$work/bin"
	chmod 755 "$work"
}
