// Package scenario runs whole-system scenarios on virtual time. A scenario is
// a txtar file: its comment is a script of one command a line, its sections
// are pieces of application files. Lines that begin with # are comments.
//
//	world agents=2 aws              how the world is (only as the first command)
//	app web version=v2 ...          commits a FakeApp; body=SECTION, dir=DIR, message=WORDS_WITH_UNDERSCORES, repo=ID
//	ecs web image=demo:v2 ...       commits an ECSApp of the local cloud; body=SECTION, desired=N, access=discovery,
//	                                native=STRATEGY for the controller ECS (config=SECTION: more of its deployment configuration),
//	                                and sections of its files: service=SECTION, launch=SECTION, task=SECTION, port=NAME of the HTTP port
//	lambda web image=demo:v2 ...    commits a LambdaApp of the local cloud; body=SECTION, function=SECTION (more of its manifest)
//	file PATH SECTION               commits a section as it is (SECTION "-" removes the file)
//	tick 2m                         lets time pass
//	until CONDITION                 lets time pass, at most 40 min, until it holds
//	want CONDITION                  it must hold now
//	sync|enable|disable APP         by bob; sync takes quick or pipeline
//	cancel|retry APP#N              cancel takes force or never
//	approve|reject|skip APP#N STAGE PERSON
//	! WORD COMMAND                  the command must be refused, and WORD be in the error
//	kill|stop|start|cut|mend PROCESS; cut takes silent
//	server stop|start|restart [DOWNTIME]
//	cloud fail WORDS | mend | weights APP P/C | size APP N | stuck APP N (the size comes back behind every write)
//	repo fail KIND | mend [ID]
//	aws behave IMAGE K=V ... | weights P/C | tag SERVICE K=V | function NAME IMAGE (made by somebody else) | alias NAME VERSION
//	rest                            waits a minute and checks what every run left
//
// Conditions: APP#N DISPLAY [reason=CODE failed=CODE end=END strategy=S detail~TEXT];
// APP#N at STAGE; APP#N stage ID STATUS; APP count N; APP live TEXT; APP gone,
// held, free, invalid, valid, absent; APP sync STATE; APP drift none, stale or WORDS; aws weights P/C; aws sets APP
// TEXT; aws failures N; aws service APP TEXT (count, placement and tags of people); aws family NAME TEXT (image and tags of the
// newest active revision, or none); aws alias NAME IMAGE PERCENT ... (none without one); aws versions NAME N:IMAGE ...
package scenario
