#!/usr/bin/perl

# The manual pages that the tool writes for packages are read without a warning and
# have the sections that one looks for, and bash completes its commands by what it
# prints.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new()->has_daemon('groff')->has_daemon('bash')->plan(15);
my $dir = $t->testdir();

###############################################################################

my $r = tool('manual', 'man', "$dir/man");
my @pages = glob "$dir/man/*.1";
my %text = map { m!([^/]+)\.1$! => scalar `groff -man -Tascii -P-cbou '$_'` } @pages;

is($r->{status}, 0, 'written');
is(join('', map { scalar `groff -man -Tutf8 -ww -z '$_' 2>&1` } @pages), '', 'no warnings');
is_deeply([ grep { $text{$_} !~ /^NAME\n +\Q$_\E +- +\S.*\nSYNOPSIS\n.*\nSEE ALSO\n/ms }
	sort keys %text ], [], 'each has a name, a synopsis and others to see');

# Each command that is in the help has a page

my ($commands) = tool('--help')->{out} =~ /^Commands:\n(.*?)\n\n/ms;
my @commands = grep { $_ ne 'help' } $commands =~ /^  (\w+)/mg;

cmp_ok(scalar @commands, '>', 1, 'commands');
is_deeply([ grep { !exists $text{"ssl-session-cache-$_"} } @commands ], [], 'a page for each');
ok(!grep({ $_ eq 'manual' } @commands), 'but the one for packages');

like($text{'ssl-session-cache-probe'}, qr/^$_$/m, "section $_")
	foreach 'OPTIONS', 'EXIT STATUS', 'EXAMPLES';
like($text{'ssl-session-cache'}, qr/^FILES$/m, 'section FILES');
like($text{'ssl-session-cache-key-new'}, qr!^ +ssl-session-cache key new /etc/nginx/cache.key$!m,
	'an example as it stands');

is(tool('manual', 'man')->{out}, $t->read_file('man/ssl-session-cache.1'), 'one page');

# Completions

foreach my $shell ('bash', 'zsh', 'fish') {
	my $script = tool('manual', 'completions', $shell)->{out};
	$t->write_file($shell, $script);
}

is(complete("$dir/bash", 'ssl-session-cache', 'pro'), 'probe', 'a command');
is(complete("$dir/bash", 'ssl-session-cache', 'probe', '--starttls', 'po'), 'pop3', 'a value');

my @there = grep { my $shell = $_; grep { -x "$_/$shell" } split /:/, $ENV{PATH} }
	'bash', 'zsh', 'fish';

is(join('', map { scalar `$_ -n '$dir/$_' 2>&1` } @there), '', "accepted by @there");

###############################################################################

# What bash makes of the last of these words.

sub complete {
	my ($script, @words) = @_;

	my $last = $#words;
	my $line = join ' ', map { "'$_'" } @words;
	my $completed = `bash -c '. "\$0"; COMP_WORDS=("\$@"); COMP_CWORD=$last
		[[ \$(complete -p "\$1") =~ -F\\ ([^ ]+) ]]
		"\${BASH_REMATCH[1]}" "\$1" "\${COMP_WORDS[$last]}" "\${COMP_WORDS[$last - 1]}"
		echo "\${COMPREPLY[*]}"' '$script' $line`;
	chomp $completed;

	return $completed;
}

###############################################################################
