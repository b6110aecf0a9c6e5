#!/usr/bin/perl

# Every message that the module can write to the log has its line in
# docs/operating.md, word for word, and every line there is of a message that
# there is.  Who looks a message up must find it.

###############################################################################

use warnings;
use strict;

use File::Find;
use FindBin;
use Test::More tests => 3;

###############################################################################

my (%written, %documented);
my $root = "$FindBin::Bin/..";

find({ no_chdir => 1, wanted => sub {
	$written{$_} = 1 foreach /\.rs$/ ? written(content($_)) : ();
} }, "$root/src", "$root/core/src");

my ($section) = content("$root/docs/operating.md")
	=~ /^## The log\n(.*?)^## /ms;
$documented{$_} = 1 foreach documented($section);

cmp_ok(scalar keys %written, '>', 50, 'messages');
is(join("\n", grep { !$documented{$_} } sort keys %written), '',
	'every message is documented');
is(join("\n", grep { !$written{$_} } sort keys %documented), '',
	'every message that is documented is there');

###############################################################################

# The messages of a source file, and the reasons that are told in them, with "*"
# for what is filled in.  Why a record cannot be opened is not told.

sub written {
	my ($source) = @_;

	my $string = qr/"((?:[^"\\]|\\.)*)"/s;
	my @found = $source =~
		/(?:\b(?:ngx_conf_log_error|log)!|\bdebug|\.wake)\(
		(?:[^";]|\.\.)*? $string/gx;
	push @found, map { "$_*" } $source =~ /\bdebug_detail\([^"{;]*$string/g;
	push @found, $source =~ /\#\[error\(\s* $string/gx;

	foreach (@found) {
		s/\\\n\s*//g;
		s/\\"/"/g;
		s/\{NAME\}/remote_ssl_session_cache/g;
		s/\{[^}]*\}|%\*s/*/g;
	}

	return grep { /\w/ && !/^record |^sslsessioncache: / } @found;
}

# The messages in the tables: what is code, and "*" for what is emphasised.

sub documented {
	my ($section) = @_;

	my @rows = grep { !/^\|---/ } $section =~ /^(\|.*)$/mg;
	my @messages = map { /^\| (?:(?:notice|warn|error|alert|warn, or error) \| )?(.*?) \|/ } @rows;

	return map { s/\*\w+\*/*/gr =~ s/`//gr }
		grep { /`/ } @messages;
}

sub content {
	my ($name) = @_;

	open my $file, '<', $name or die "$name: $!\n";
	local $/;

	return <$file>;
}

###############################################################################
