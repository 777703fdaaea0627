# Counts visits in the database db, and says how many there were.
use strict;
use warnings;
use IO::Socket::INET;

$SIG{TERM} = $SIG{INT} = sub { exit 0 };
$| = 1;

sub sql {
    open my $out, '-|', qw(psql -h db -U postgres -qtA -v ON_ERROR_STOP=1 -c), $_[0] or die "psql: $!\n";
    my @lines = <$out>;
    close $out or die "the database did not answer\n";
    return join '', @lines;
}

sql('CREATE TABLE IF NOT EXISTS visits (at timestamptz NOT NULL DEFAULT now())');

my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 16, ReuseAddr => 1) or die "listen: $!\n";
print "the app listens on port 8080\n";
while (my $client = $server->accept) {
    while (defined(my $line = <$client>)) {
        last if $line =~ /^\r?\n$/;
    }
    my $visits = eval { sql('INSERT INTO visits DEFAULT VALUES; SELECT count(*) FROM visits') };
    my ($status, $text) = defined $visits ? ('200 OK', "visit $visits") : ('503 Service Unavailable', $@);
    print $client "HTTP/1.1 $status\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: " . length($text) . "\r\n\r\n$text";
    close $client;
}
