/* What nginx-sys has no bindings for, or only where nginx was configured with them. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_stream.h>
#include <ngx_stream_ssl_module.h>
#include <ngx_mail.h>
#include <ngx_mail_ssl_module.h>
