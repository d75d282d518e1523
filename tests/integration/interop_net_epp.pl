#!/usr/bin/perl
# A client that nobody here wrote: Net::EPP (Debian: libnet-epp-perl), its plain client and its Simple one.
#
#   interop_net_epp.pl HOST PORT CA CERT KEY USER PASSWORD SAMPLE
#
# Prints TAP; exit status 0 when every test passed. Started by test_interop.py with a server of its own.
use strict;
use utf8;
use warnings;

use Net::EPP::Client;
use Net::EPP::Frame;
use Net::EPP::ResponseCodes;
use Net::EPP::Simple;
use Test::More;
binmode(Test::More->builder->$_, ':encoding(UTF-8)') for qw(output failure_output todo_output);
use XML::LibXML;

my ($host, $port, $ca, $cert, $key, $user, $password, $sample) = @ARGV;
die "usage: $0 HOST PORT CA CERT KEY USER PASSWORD SAMPLE\n" unless defined $sample;

my $epp = 'urn:ietf:params:xml:ns:epp-1.0';
my $imei = 'urn:ietf:params:xml:ns:imei-1.0';

sub slurp {
	my ($path) = @_;
	open(my $file, '<:raw', $path) or die "$path: $!\n";
	local $/;
	return <$file>;
}

# Every text of an element of a namespace.
sub texts {
	my ($document, $ns, $name) = @_;
	return map { $_->textContent } $document->getElementsByTagNameNS($ns, $name);
}

# The result code of an answer: what comes from Net::EPP::Client is a plain document.
sub code {
	my ($document) = @_;
	return ($document->getElementsByTagNameNS($epp, 'result'))[0]->getAttribute('code');
}

# ---- Net::EPP::Client: frames as documents ---------------------------------------------------------------------------------

my $client = Net::EPP::Client->new(host => $host, port => $port, ssl => 1, frames => 1);
my $greeting = $client->connect(
	SSL_ca_file => $ca, SSL_cert_file => $cert, SSL_key_file => $key, SSL_verify_mode => 1, SSL_hostname => 'localhost',
	SSL_verifycn_name => 'localhost', SSL_verifycn_scheme => 'http',
);
isa_ok($greeting, 'XML::LibXML::Document', 'greeting');
is(($greeting->getElementsByTagNameNS($epp, 'greeting'))[0]->parentNode->localname, 'epp', 'a greeting comes first');
ok((grep { $_ eq $imei } texts($greeting, $epp, 'objURI')), 'it names the devices');
is_deeply([sort(texts($greeting, $epp, 'lang'))], ['en', 'uk'], 'and the languages');

my $login = Net::EPP::Frame::Command::Login->new;
$login->clID->appendText($user);
$login->pw->appendText($password);
$login->version->appendText('1.0');
$login->lang->appendText('uk');
$login->svcs->appendTextChild('objURI', $_) for texts($greeting, $epp, 'objURI');
$login->clTRID->appendText('NET-EPP-LOGIN');
my $answer = $client->request($login);
is(code($answer), OK, 'login') or diag($answer->toString(1));
is((texts($answer, $epp, 'msg'))[0], 'Команду виконано успішно', 'in Ukrainian');
is(($answer->getElementsByTagNameNS($epp, 'clTRID'))[0]->textContent, 'NET-EPP-LOGIN', 'clTRID comes back');
ok(($answer->getElementsByTagNameNS($epp, 'svTRID'))[0]->textContent, 'svTRID');

my $hello = $client->request(Net::EPP::Frame::Hello->new);
is(scalar(my @greetings = texts($hello, $epp, 'svID')), 1, 'hello gives a greeting');

$answer = $client->request(slurp($sample));
is(code($answer), OK, "the customer's sample") or diag($answer->toString(1));
is(scalar(my @results = texts($answer, $epp, 'result')), 1, 'one result');
is_deeply([texts($answer, $imei, 'name')], ['352106050544203', '352106150345703'], 'both names');
my @avail = map { $_->getAttribute('avail') } $answer->getElementsByTagNameNS($imei, 'name');
is($avail[0], '0', 'the first is in the register');
is(($answer->getElementsByTagNameNS($epp, 'clTRID'))[0]->textContent, 'USER-1275850648', "the sample's clTRID");

# Composed with the library's own frames.
my $check = Net::EPP::Frame::Command::Check->new;
my $payload = $check->createElementNS($imei, 'imei:check');
$payload->appendChild($check->createElementNS($imei, 'imei:name'))->appendText('352106050544203');
$check->getCommandNode->appendChild($payload);
$check->clTRID->appendText('NET-EPP-CHECK');
$answer = $client->request($check);
is(code($answer), OK, 'a check composed by Net::EPP') or diag($answer->toString(1));

my $req = Net::EPP::Frame::Command::Poll::Req->new;
$req->clTRID->appendText('NET-EPP-POLL');
$answer = $client->request($req);
is(code($answer), 1301, 'poll: a message waits') or diag($answer->toString(1));
my ($queue) = $answer->getElementsByTagNameNS($epp, 'msgQ');
my ($count, $id) = ($queue->getAttribute('count'), $queue->getAttribute('id'));
cmp_ok($count, '>', 0, 'and is counted');

my $ack = Net::EPP::Frame::Command::Poll::Ack->new;
$ack->setMsgID($id);
$ack->clTRID->appendText('NET-EPP-ACK');
$answer = $client->request($ack);
is(code($answer), OK, 'ack') or diag($answer->toString(1));

$answer = $client->request($req);
is(code($answer), $count > 1 ? 1301 : 1300, 'poll once more');

my $logout = Net::EPP::Frame::Command::Logout->new;
$logout->clTRID->appendText('NET-EPP-LOGOUT');
$answer = $client->request($logout);
is(code($answer), 1500, 'logout');
$client->disconnect;

# ---- Net::EPP::Simple: logs in by itself --------------------------------------------------------------------------------------

my %who = (host => $host, port => $port, key => $key, cert => $cert, user => $user, verify => 1, ca_file => $ca, load_config => 0,
	reconnect => 0, timeout => 30);

my $simple = Net::EPP::Simple->new(%who, pass => $password);
ok($simple, 'Simple logs in') or diag($Net::EPP::Simple::Error);
if ($simple) {
	is($Net::EPP::Simple::Code, OK, 'with code 1000');
	ok($simple->ping, 'ping');
	isa_ok($simple->greeting, 'XML::LibXML::Document', 'greeting kept');
	my $check_again = Net::EPP::Frame::Command::Check->new;
	my $names = $check_again->createElementNS($imei, 'imei:check');
	$names->appendChild($check_again->createElementNS($imei, 'imei:name'))->appendText($_)
		for '352106050544203', '123456789012345';
	$check_again->getCommandNode->appendChild($names);
	$answer = $simple->request($check_again);
	is(code($answer), OK, 'check') or diag($answer->toString(1));
	is_deeply([map { $_->getAttribute('avail') } $answer->getElementsByTagNameNS($imei, 'name')], ['0', '1'], 'both answers');
	# The helpers of Simple are for domains: an object that the server does not have is refused, not misread.
	is($simple->check_domain('example.com'), undef, 'no domains here');
	cmp_ok($Net::EPP::Simple::Code, '>=', 2000, 'refused by the server');
	ok($simple->ping, 'and the session goes on');
	ok($simple->logout, 'logout');
}

my $wrong = Net::EPP::Simple->new(%who, pass => 'Wrong.horse-9');
is($wrong, undef, 'a wrong password is refused');
is($Net::EPP::Simple::Code, 2200, 'with 2200');

done_testing();
