# For those who want to use the module, not to change it: builds it with ci/build for an installed nginx,
# and installs it, and the tool for the shell. "make help" says how; ci/ has what developers need.

export NGINX NGINX_SOURCE_DIR DESTDIR MODULESDIR

PREFIX = /usr/local
TOOL = target/tool/ssl-session-cache

.PHONY: all install tool install-tool help

all:
	@ci/install --build

install:
	@ci/install --install

tool: $(TOOL)

install-tool: $(TOOL)
	@dist/install-tool $(TOOL) $(DESTDIR)$(PREFIX)

$(TOOL): Cargo.toml Cargo.lock $(shell find tool core -type f)
	cargo build --locked --profile tool --target-dir target -p ssl-session-cache

help:
	@echo 'make            builds the module, for the nginx of this system'
	@echo 'make install    puts it where that nginx loads modules from'
	@echo
	@echo 'make tool          builds the program ssl-session-cache, which needs no nginx'
	@echo 'make install-tool  installs it, with manual pages and completions, in PREFIX (/usr/local)'
	@echo
	@echo 'Variables of the first two:'
	@echo
	@echo 'NGINX=/opt/nginx/sbin/nginx    the binary that is to load the module, where it is not "nginx"'
	@echo 'NGINX_SOURCE_DIR=/src/nginx    the source that it was built from; without NGINX, the binary is'
	@echo '                               objs/nginx there. Without it, the source is found by version:'
	@echo '                               nginx-dev for Debian'"'"'s, else the crate nginx-src'
	@echo 'MODULESDIR=/opt/nginx/modules  where to install, where it is not as "nginx -V" says'
	@echo 'DESTDIR=/tmp/package           put in front of that, to make a package'
	@echo
	@echo 'Needed: Rust 1.85 or later (https://rustup.rs), a C compiler, make, libclang, and the headers'
	@echo 'of OpenSSL, PCRE and zlib. On Debian, in addition to Rust:'
	@echo
	@echo '    apt install build-essential libclang-dev libssl-dev libpcre2-dev zlib1g-dev nginx nginx-dev'
