# Cargo knows best what is out of date, so it always runs.

cat << END                                                    >> $NGX_MAKEFILE

.PHONY:	$ssc_library

$ssc_library:
	NGINX_SOURCE_DIR="\$\$(pwd)" \\
	NGINX_BUILD_DIR="\$\$(cd $NGX_OBJS && pwd)" \\
	$ssc_cargo rustc --release --lib --crate-type staticlib \\
		--no-default-features \\
		--manifest-path "$ngx_addon_dir/Cargo.toml" \\
		--target-dir $ssc_target

$NGX_OBJS/ngx_http_ssl_session_cache_module.so:	$ssc_library

END
